# JSON, as far as this package needs it: it depends on no JSON package.

# A config that was given as a Dict or a NamedTuple, as the library wants it.
json_text(value) = sprint(write_json, value)

write_json(io, ::Union{Nothing,Missing}) = print(io, "null")
write_json(io, value::Union{Bool,Integer}) = print(io, value)
write_json(io, value::Union{AbstractVector,Tuple}) = write_list(write_json, io, '[', value, ']')
write_json(io, value::NamedTuple) = write_json(io, pairs(value))
write_json(io, value::AbstractDict) = write_list(io, '{', collect(value), '}') do io, (name, member)
    name isa Union{AbstractString,Symbol} || throw(ConfigError("config: has a $(typeof(name)) for a key, not a string"))
    write_json(io, name)
    print(io, ':')
    write_json(io, member)
end

function write_json(io, value::AbstractFloat)
    isfinite(value) || throw(ConfigError("config: has a number that JSON can't have, $value"))
    print(io, isinteger(value) && abs(value) < 2.0^53 ? Int64(value) : value)
end

function write_json(io, value::Union{AbstractString,Symbol})
    print(io, '"')
    for character in string(value)
        if character in ('"', '\\')
            print(io, '\\', character)
        elseif character < ' '
            print(io, "\\u", string(UInt8(character); base = 16, pad = 4))
        else
            print(io, character)
        end
    end
    print(io, '"')
end

write_json(io, value) = throw(ConfigError("config: has a $(typeof(value)), which JSON can't have"))

function write_list(write_one, io, open, values, close)
    print(io, open)
    for (i, value) in enumerate(values)
        i > 1 && print(io, ',')
        write_one(io, value)
    end
    print(io, close)
end

# The value of a member of a JSON object, as it is written there, a string without its quotes. `nothing` where it is
# absent, null, an array or an object.
function json_member(object, name)
    depth = 0
    before = "" # the last parts: a name of a member is a string before a colon
    colon = false
    for part in eachmatch(r"\"(?:[^\"\\]|\\.)*\"|[\[\]{}:,]|[^\[\]{}:,\"\s]+"s, object)
        text = part.match
        if colon && depth == 1 && before == "\"$name\""
            (text == "null" || text in ("{", "[")) && return nothing
            return startswith(text, '"') ? chop(text; head = 1) : text
        end
        depth += (text in ("{", "[")) - (text in ("}", "]"))
        colon = text == ":"
        colon || (before = text)
    end
    return nothing
end
