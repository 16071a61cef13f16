skip_without_sandbox()

status_by_curl <- function(bearer) {
    handle <- curl::new_handle()
    curl::handle_setheaders(handle, Authorization = bearer)
    curl::curl_fetch_memory(resource(), handle)
}

test_that("the header is for curl, httr and httr2", {
    reset_sandbox()
    session <- ada()
    handle <- curl::new_handle()
    curl::handle_setheaders(handle, .list = gc_header(session))
    expect_identical(curl::curl_fetch_memory(resource(), handle)$status_code, 200L)
    expect_identical(httr::status_code(httr::GET(resource(), httr::add_headers(.headers = gc_header(session)))), 200L)
    response <- httr2::request(resource()) |> httr2::req_headers(!!!gc_header(session)) |> httr2::req_perform()
    expect_identical(httr2::resp_status(response), 200L)
    expect_identical(counters()$resource_ok, 3L)
})

test_that("httr2 asks for the bearer each time a request is performed", {
    reset_sandbox()
    session <- ada()
    request <- httr2::request(resource()) |> req_auth_gcauth(session)
    project <- function() httr2::resp_body_json(httr2::req_perform(request))$project
    gc_refresh(session, "exomes")
    expect_identical(project(), "exomes")
    gc_refresh(session, "genomes")
    expect_identical(project(), "genomes")
    gc_logout(session)
    expect_error(httr2::req_perform(request), class = "gcauth_no_token")
})

test_that("httr2 repeats a request once after a refused token", {
    reset_sandbox()
    session <- ada()
    request <- httr2::request(resource()) |> req_auth_gcauth(session)
    for (round in 1:3) {
        control("revoke")
        expect_identical(httr2::resp_status(httr2::req_perform(request)), 200L)
        expect_identical(httr2::resp_status(httr2::req_perform(request)), 200L)
    }
    expect_identical(counters()[c("refreshes", "resource_refused", "resource_ok", "reuses")],
                     list(refreshes = 3L, resource_refused = 3L, resource_ok = 6L, reuses = 0L))
    # Somebody else renewed in the meantime: nothing is left to renew.
    control("revoke")
    gc_refresh(session)
    expect_identical(httr2::resp_status(httr2::req_perform(request)), 200L)
    expect_identical(counters()$refreshes, 4L)
    # A server that refuses everything is asked twice.
    control("faults", paste0("{\"on\":\"resource\",\"times\":\"forever\",\"do\":{\"status\":{\"code\":401,",
                             "\"headers\":{\"WWW-Authenticate\":\"Bearer error=\\\"invalid_token\\\"\"}}}}"))
    before <- counters()$requests$resource
    expect_error(httr2::req_perform(request), class = "httr2_http_401")
    expect_identical(counters()$requests$resource, before + 2L)
    expect_identical(counters()$refreshes, 5L)
})

test_that("newer versions of httr2 do it by clear() and get()", {
    reset_sandbox()
    session <- ada()
    hooks <- gcauth:::oauth_hooks(session)
    first <- hooks$get()$access_token
    expect_identical(hooks$get()$access_token, first)
    hooks$clear()
    second <- hooks$get()$access_token
    expect_false(second == first)
    # Of two requests that were under way with the first token, the other one hears of its refusal now.
    hooks$clear()
    expect_identical(hooks$get()$access_token, second)
    expect_identical(counters()$refreshes, 1L)
    # The next request was signed with the second.
    expect_identical(hooks$get()$access_token, second)
    hooks$clear()
    expect_false(hooks$get()$access_token == second)
    expect_identical(counters()$refreshes, 2L)
})

test_that("nothing is kept of requests that are gone", {
    session <- ada()
    before <- length(ls(gcauth:::first_tries))
    for (i in 1:20) httr2::req_perform(httr2::request(resource()) |> req_auth_gcauth(session))
    gc()
    gc()
    # httr2 keeps the last one.
    expect_lte(length(ls(gcauth:::first_tries)), before + 2L)
})

test_that("gc_send() repeats a request once after a 401, whoever sends it", {
    senders <- list(
        curl = status_by_curl,
        httr = function(bearer) httr::GET(resource(), httr::add_headers(Authorization = bearer)),
        "httr that stops" = function(bearer) {
            httr::stop_for_status(httr::GET(resource(), httr::add_headers(Authorization = bearer)))
        },
        httr2 = function(bearer) {
            httr2::request(resource()) |> httr2::req_headers(Authorization = bearer) |> httr2::req_perform()
        }
    )
    session <- ada()
    for (name in names(senders)) {
        reset_sandbox()
        expect_identical(gc_send(session, senders[[name]])$status_code, 200L, info = name)
        control("revoke")
        expect_identical(gc_send(session, senders[[name]])$status_code, 200L, info = name)
        expect_identical(counters()[c("refreshes", "resource_refused", "resource_ok")],
                         list(refreshes = 1L, resource_refused = 1L, resource_ok = 2L), info = name)
    }
})

test_that("gc_send() sends a token that can't be replaced no second time", {
    reset_sandbox()
    sent <- 0L
    send <- function(bearer) {
        sent <<- sent + 1L
        status_by_curl(bearer)
    }
    stopping <- function(bearer) httr::stop_for_status(send(bearer)$status_code)
    # Where the server is out of reach, the same bearer comes back.
    session <- ada(config_with(retries = 0))
    control("revoke")
    control("faults", "{\"on\":\"refresh\",\"times\":\"forever\",\"do\":{\"drop\":{\"at\":\"before-reading\"}}}")
    expect_identical(gc_send(session, send)$status_code, 401L)
    expect_identical(sent, 1L)
    # And the error that stood for the answer.
    session <- ada(config_with(retries = 0))
    control("revoke")
    expect_error(gc_send(session, stopping), class = "http_401")
    expect_identical(sent, 2L)
    # One that answers gives an error of its own.
    reset_sandbox()
    session <- ada(config_with(retries = 0))
    control("revoke")
    control("faults", "{\"on\":\"refresh\",\"times\":\"forever\",\"do\":{\"status\":{\"code\":503}}}")
    expect_error(gc_send(session, send), class = "gcauth_server")
    expect_identical(sent, 3L)
    reset_sandbox()
})

test_that("gc_send() leaves other answers and errors alone", {
    reset_sandbox()
    session <- ada()
    expect_identical(gc_send(session, function(bearer) "fine"), "fine")
    expect_identical(gc_send(session, function(bearer) list(status_code = 403L))$status_code, 403L)
    expect_error(gc_send(session, function(bearer) stop("mine")), "mine")
    expect_identical(counters()$refreshes, 0L)
})
