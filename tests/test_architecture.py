"""Who may import whom, and what importing the package costs (architecture)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "expfam_game"
LEAVES = {"errors", "_typing", "samples"}
ALLOWED = {
    "errors": set(),
    "_typing": set(),
    "kernels": set(),
    "families": {"kernels"},
    "game": {"families", "kernels"},
    "solvers": {"game", "families", "kernels"},
    "certificates": {"game", "families", "kernels"},
    "testing": {"game", "families", "kernels"},
    "datasets": set(),
    "samples": set(),
    "learners": {"families", "kernels"},
    "bridge": {"learners", "solvers", "game", "families", "kernels"},
    "plots": {"certificates", "solvers", "game", "families", "kernels"},
    "files": {"solvers", "game", "families", "kernels"},
    "compile_notice": set(),
    "warmup": {"certificates", "solvers", "game", "families", "kernels"},
    "cli": {"compile_notice", "warmup", "plots", "files", "certificates", "solvers", "game", "families", "kernels"},
    "__main__": {"cli"},
}
FILES = sorted(p for p in PACKAGE.rglob("*.py*") if p.suffix in {".py", ".pyi"} and p.parent != PACKAGE) + sorted(
    p for p in PACKAGE.glob("*.py") if p.name != "__init__.py"
)


def _public_names() -> dict[str, str]:
    """The room that each public name of the package comes from, read off its stub."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: node.module.split(".")[0] for node in imports for alias in node.names}


PUBLIC = _public_names()


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Rooms of the package that a file imports, also inside functions; relative imports stay in the room."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {
            PUBLIC.get(name.split(".")[1], name.split(".")[1]) for name in names if name.startswith("expfam_game.")
        }
        assert not any(name.split(".")[0] == "torch" for name in names), f"{path} imports torch"
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_what_they_may(path):
    room = _room(path)
    assert room in ALLOWED, f"{room} is a room that the architecture does not know"
    # ``__version__`` is the package itself, not a room.
    foreign = _imports(path) - {room, "__version__"} - LEAVES - ALLOWED[room]
    assert not foreign, f"{path.relative_to(PACKAGE)} imports {sorted(foreign)}"


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"numba", "scipy", "flint", "matplotlib", "networkx", "hypothesis", "typer", "sympy", "sklearn"}
    assert not heavy & _modules_after("import expfam_game")


def test_the_checker_loads_no_solver_and_no_plotting():
    loaded = _modules_after("import expfam_game.certificates.check")
    assert not [m for m in loaded if m.startswith(("expfam_game.solvers", "expfam_game.plots", "matplotlib"))]
