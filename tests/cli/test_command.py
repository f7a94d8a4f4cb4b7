"""The command as a whole: help, version, and start-up."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import pictory_async


@pytest.mark.parametrize(
    "command", ["generate", "batch", "check", "history", "job", "models", "sandbox"]
)
def test_each_command_has_examples(pictory, command) -> None:
    """Help ends with commands to copy."""
    done = pictory(command, "--help")

    assert done.code == 0
    assert f"\n    pictory {command}" in done.out
    assert max(map(len, done.lines)) <= 88


def test_help_documents_exit_codes_and_the_missing_key_option(pictory) -> None:
    """Scripts rely on the codes; the missing --api-key is explained."""
    done = pictory("--help")

    assert done.code == 0
    for word in ("130  interrupted", "PICTORY_API_KEY", "no option for the key"):
        assert word in done.out


def test_version(pictory) -> None:
    """The version is that of the package."""
    from pictory_async import __version__

    assert pictory("--version").out == f"pictory {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("generate",),
        ("job",),
        ("batch",),
        ("history", "-n", "0"),
        ("generate", "--x"),
        ("sandbox", "--port", "70000"),
    ],
)
def test_wrong_usage_is_2(pictory, arguments) -> None:
    """The usage goes to standard error."""
    done = pictory(*arguments)

    assert done.code == 2
    assert done.err.startswith("Usage: pictory")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_says_what_to_install(pictory, monkeypatch, missing) -> None:
    """A missing library gives one line, not a traceback."""
    ours = [name for name in sys.modules if name.startswith("pictory_async.cli._")]
    theirs = [name for name in sys.modules if name.startswith(f"{missing}.")]
    for name in (*ours, *theirs):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    done = pictory("--version")

    assert done.code == 2
    assert done.err == "The pictory command needs: pip install 'pictory-async[cli]'\n"


def test_hides_no_other_missing_module(pictory, monkeypatch) -> None:
    """A broken installation is not mistaken for a missing extra."""
    monkeypatch.setitem(sys.modules, "pictory_async.cli._commands", None)

    with pytest.raises(ModuleNotFoundError):
        pictory("--version")


def test_says_what_the_sandbox_needs(pictory, monkeypatch) -> None:
    """Pillow is only for the pictures, and in an extra of its own."""
    name = "pictory_async.sandbox._drawing.pictures"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)

    done = pictory("generate", "--sandbox", "A lighthouse")

    assert done.code == 2
    assert done.err.endswith("pip install 'pictory-async[sandbox]'\n")
    assert done.err.count("\n") == 1


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """The package does not load the command; the command loads no sandbox."""
    code = (
        "import sys, pictory_async\n"
        "assert 'pictory_async.cli' not in sys.modules\n"
        "from pictory_async.cli import main\n"
        "assert 'click' not in sys.modules\n"
        "main(['--version'])\n"
        "loaded = {'PIL', 'pictory_async.sandbox', 'aiohttp.web'} & set(sys.modules)\n"
        "assert loaded <= {'aiohttp.web'}, loaded"
    )

    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own


def test_a_pipe_gets_no_control_codes(service, spawn) -> None:
    """The output of a pipe is plain, whatever the environment says."""
    command = spawn("generate", "A lighthouse", "--poll-every", "0.05")
    out, err = command.communicate(timeout=10)

    assert command.returncode == 0
    assert "\x1b" not in out + err
    assert out.splitlines()[1].startswith("saved pictures/")


def test_images_are_saved_after_the_pipe_is_closed(service, spawn, tmp_path) -> None:
    """A closed pipe loses no paid image; the lines go to standard error instead."""
    service.sandbox.hold()
    command = spawn("generate", "A lighthouse", "A cat", "--poll-every", "0.05")
    command.stdout.readline()
    command.stdout.close()
    service.sandbox.release()

    assert command.wait(timeout=10) == 1
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    err = command.stderr.read()
    assert err.count("saved pictures/") == 2
    assert "2 images" in err


def test_the_module_is_the_command(monkeypatch, capsys) -> None:
    """`python -m pictory_async` works without the script."""
    monkeypatch.setattr(sys, "argv", ["pictory", "--version"])

    with pytest.raises(SystemExit) as end:
        # By its path: pytest imports a package with a plugin by its own loader.
        main = Path(pictory_async.__file__).with_name("__main__.py")
        runpy.run_path(str(main), run_name="__main__")

    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("pictory ")
