"""List the figures, or make one or all of them.

python -m paper_figures                      # what there is, and what each claims
python -m paper_figures mnist_two_agents     # one
python -m paper_figures all --quick          # all, small, in minutes
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.report import complain, console, require_extra
from expfam_game.errors import ExpfamGameError
from paper_figures.report import save, write_page

NAMES = (
    "mnist_local_models",
    "mnist_two_agents",
    "fashion_four_agents",
    "five_agents",
    "five_modalities",
    "theory_influence",
    "theory_contraction",
    "theory_asynchronous",
    "theory_noise_floor",
    "theory_cooperation",
    "theory_three_equilibria",
)
"""In the order of the page; each is a module here with TITLE, CLAIM and ``main(out, seed, quick)``."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _module(name: str) -> Any:
    return importlib.import_module(f"paper_figures.{name}")


def _show_list() -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("figure", no_wrap=True)
    table.add_column("what it claims")
    for name in NAMES:
        table.add_row(name, _module(name).CLAIM)
    screen = console()
    screen.print(table)
    screen.print(
        "Make one with python -m paper_figures NAME, all with python -m paper_figures all; --quick for a small version."
    )


def _make(name: str, out: Path, seed: int, quick: bool) -> None:
    module = _module(name)
    screen = console()
    screen.print(f"{name}: {module.TITLE}")
    begun = time.perf_counter()
    report = module.main(out, seed, quick)
    seconds = time.perf_counter() - begun
    command = f"python -m paper_figures {name}" + (f" --seed {seed}" if seed else "") + (" --quick" if quick else "")
    written = save(report, name, module.TITLE, module.CLAIM, out, seconds=seconds, command=command)
    for finding in report.findings:
        low, high = finding.spread
        reached = {None: "", True: "   reached", False: "   NOT reached"}[finding.holds]
        wanted = f"   asked {finding.wanted}" if finding.wanted else ""
        screen.print(f"  {finding.what}: {finding.median:.4g} ({low:.4g} … {high:.4g}) {finding.unit}{wanted}{reached}")
    screen.print(f"  saved in {seconds:.0f} s: {', '.join(map(str, written))}", soft_wrap=True)


@app.command()
def main(
    figure: Annotated[
        str | None, typer.Argument(help="A name from the list, or all; without it the list is shown.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the PNG, PDF and JSON files.")] = Path("results/paper_figures"),
    page: Annotated[Path | None, typer.Option(help="The page with all results.", show_default="OUT/results.md")] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="First seed; an experiment over three seeds uses the next two as well.")
    ] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few images, few rounds: shows that all runs; the numbers mean little.")
    ] = False,
) -> None:
    """The figures of the paper: image experiments with local models that fit in minutes, and the theory in pictures."""
    if figure is None:
        _show_list()
        return
    if figure not in (*NAMES, "all"):
        raise typer.BadParameter(f"{figure!r} is no figure; there are {', '.join(NAMES)} and all")
    try:
        require_extra("The figures")
        for name in NAMES if figure == "all" else (figure,):
            _make(name, out, seed, quick)
    except ExpfamGameError as problem:
        complain(problem)
        raise typer.Exit(1) from None
    console().print(f"page: {write_page(page or out / 'results.md', out, NAMES)}")


if __name__ == "__main__":
    app()
