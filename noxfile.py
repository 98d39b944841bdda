"""Sessions for ``nox``: the checks of CI, one by one."""
import nox

nox.options.sessions = ["lint", "quick"]
nox.options.reuse_existing_virtualenvs = True

PARALLEL = ("-n", "2", "--dist", "loadfile")
"""Options of pytest: the tests of a file share indexes, so they are run by one process."""


def install(session: nox.Session, extras: str) -> None:
    """Installs the checkout with extras, in the versions that were tested."""
    session.install("-q", "-c", "constraints.txt", "-e", f".[{extras}]")


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style, types and layers."""
    install(session, "pyserini,test")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def quick(session: nox.Session) -> None:
    """Runs the tests that start no JVM."""
    install(session, "pyserini,test")
    session.run("pytest", "-n", "2", "-m", "not jvm and not system and not slow", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Runs all default tests."""
    install(session, "pyserini,test")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the documentation in site/."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict")


@nox.session
def bounds(session: nox.Session) -> None:
    """Runs the tests of kernels and of damaged files, and the fuzzer, with every index into an array checked."""
    install(session, "pyserini,test")
    checked = {"NUMBA_BOUNDSCHECK": "1"}
    session.run("pytest", *PARALLEL, "-m", "not jvm and not system", *session.posargs, env=checked)
    session.run("pytest", "tests/robustness/test_damage.py", env=checked)
    session.run("python", "-m", "bmp_plugin.conformance.fuzz", "--oracle", env=checked)
