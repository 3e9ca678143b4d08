import pytest

from tests.unit.adapters.http.serving import serving


@pytest.fixture
def service():
    with serving() as one:
        yield one
