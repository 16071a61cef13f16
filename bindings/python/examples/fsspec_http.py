"""Protected files by fsspec, and so by pandas, pyarrow and zarr:

    files = file_system(gcauth.Session(store="user"))
    pandas.read_csv(files.open("https://…/variants.csv"))
"""

import aiohttp
import fsspec

import gcauth


def file_system(session: gcauth.Session) -> fsspec.AbstractFileSystem:
    """fsspec's HTTP file system, whose requests carry the session's bearer."""

    async def client(**options: object) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(middlewares=[gcauth.aiohttp_middleware(session)], **options)

    # fsspec would take one that it has made before with equal arguments.
    return fsspec.filesystem("https", get_client=client, skip_instance_cache=True)


if __name__ == "__main__":
    import sys

    with file_system(gcauth.Session(store="user")).open(sys.argv[1], "rb") as file:
        sys.stdout.buffer.write(file.read())
