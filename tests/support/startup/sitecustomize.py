"""Has a process of a test find what an installed service finds, and not what the tests alone need.

Libraries of the service import these where they are there, though the service needs none of them:
that is most of a second for each start, and no user's service does it.
"""

import sys

ABSENT = {
    "aiohttp",
    "fastapi",
    "flask",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "starlette",
    "werkzeug",
}


class _Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, _Absent)
