from tests.training.conftest import one_thread  # noqa: F401
