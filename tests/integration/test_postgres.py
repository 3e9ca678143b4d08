import pytest
from hypothesis import settings

from identity_core.testing import ContactRepositoryConformance, IdentityMachine
from tests.integration.conftest import emptied_repository_on


class TestConformance(ContactRepositoryConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    def empty_repository(self):
        return emptied_repository_on(self.url)


def test_the_machine_runs_on_postgres_too(url):
    class Machine(IdentityMachine):
        def empty_repository(self):
            return emptied_repository_on(url)

    case = Machine.TestCase
    case.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
    case().runTest()
