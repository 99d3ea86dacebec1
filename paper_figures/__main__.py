"""List the figures, or make one or all of them.

python -m paper_figures                      # what there is, and what each claims
python -m paper_figures mnist_two_agents     # one
python -m paper_figures all --quick          # all, small, in minutes
python -m paper_figures all --jobs 2         # all, two at a time
python -m paper_figures five_agents --redraw # the pictures and the words again, from the saved numbers
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks.report import complain, console, progress, require_extra
from expfam_game.errors import ExpfamGameError
from paper_figures.making import Made, Order, cores, draw_again, make_all
from paper_figures.report import write_page

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

AGAIN = ("mnist_local_models", "fashion_four_agents", "five_agents")
"""Those with a function ``again``, whose saved numbers are enough to draw from."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _show_list() -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("figure", no_wrap=True)
    table.add_column("what it claims")
    for name in NAMES:
        table.add_row(name, _claim(name))
    screen = console()
    screen.print(table)
    screen.print(
        "Make one with python -m paper_figures NAME, all with python -m paper_figures all; --quick for a small version."
    )


def _claim(name: str) -> str:
    """CLAIM as it is written in the module, which could not be imported without matplotlib."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return next(str(ast.literal_eval(n.value)) for n in assigned if getattr(n.targets[0], "id", "") == "CLAIM")


def _show(made: Made) -> bool:
    """Print what came of a figure; whether it went well."""
    screen = console()
    for line in made.lines:
        screen.print(line, markup=False, soft_wrap=True)
    if made.trace:
        complain(ExpfamGameError(made.trace))
    if made.problem:
        complain(ExpfamGameError(f"{made.name}: {made.problem}"))
    return not made.problem


def _to_redraw(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that can be drawn again; the others are named, and one alone is an error."""
    others = ", ".join(name for name in names if name not in AGAIN)
    if len(names) == 1 and others:
        only = f"those that can are {', '.join(AGAIN)}"
        complain(ExpfamGameError(f"{others} cannot be drawn again without being computed, leave out --redraw; {only}"))
        raise typer.Exit(1)
    if others:
        console().print(
            f"drawn again: {', '.join(AGAIN)}; left out, as they must be computed: {others}", soft_wrap=True
        )
    return tuple(name for name in names if name in AGAIN)


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
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Figures made at a time, each in a process of its own.",
            show_default="as many as there are cores, and no more than figures",
        ),
    ] = None,
    redraw: Annotated[
        bool,
        typer.Option(
            "--redraw",
            help=f"Draw and word again from the JSON file in OUT and compute nothing; can be had of {', '.join(AGAIN)}.",
        ),
    ] = False,
) -> None:
    """The figures of the paper: image experiments with local models that fit in minutes, and the theory in pictures."""
    if figure is None:
        _show_list()
        return
    if figure not in (*NAMES, "all"):
        raise typer.BadParameter(f"{figure!r} is no figure; there are {', '.join(NAMES)} and all")
    names: tuple[str, ...] = NAMES if figure == "all" else (figure,)
    try:
        require_extra("Drawing the figures")
    except ExpfamGameError as problem:
        complain(problem)
        raise typer.Exit(1) from None
    if redraw:
        names = _to_redraw(names)
        results: Iterator[Made] = (draw_again(name, out) for name in names)
    else:
        at_once = min(jobs or cores(), len(names))
        if at_once > 1:
            console().print(f"{len(names)} figures, {at_once} at a time")
        results = make_all([Order(name, out, seed, quick, at_once) for name in names], at_once)
    well = [_show(made) for _, made in zip(progress(names, "figures"), results)]
    console().print(f"page: {write_page(page or out / 'results.md', out, NAMES)}", soft_wrap=True)
    if not all(well):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
