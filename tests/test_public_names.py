"""Every public name loads, is documented, and shows a runnable example where it can be called."""

import inspect

import pytest

import expfam_game as eg

CALLABLES = [
    *(getattr(eg, name) for name in eg.__all__),
    *(getattr(eg.families, name) for name in eg.families.__all__),
    *(getattr(eg.solvers, name) for name in eg.solvers.__all__),
    *(getattr(eg.learners, name) for name in eg.learners.__all__),
    *(getattr(eg.bridge, name) for name in eg.bridge.__all__),
]
RESULTS = {"History", "MomentEstimate", "NoiseFloor", "Solution", "Status", "Claim", "Grade", "Family", "Solver"}
RESULTS |= {"Uniqueness", "Mixture"}


@pytest.mark.parametrize("thing", CALLABLES, ids=lambda t: getattr(t, "__name__", str(t)))
def test_public_names_are_documented(thing):
    assert inspect.getdoc(thing), thing


@pytest.mark.parametrize(
    "thing",
    [t for t in CALLABLES if callable(t) and t.__name__ not in RESULTS],
    ids=lambda t: t.__name__,
)
def test_public_callables_show_an_example(thing):
    sources = [inspect.getdoc(thing) or ""]
    if inspect.isclass(thing):
        sources += [inspect.getdoc(m) or "" for _, m in inspect.getmembers(thing)]
    assert any(">>>" in source for source in sources), thing


def test_all_lists_resolve():
    for module in (eg, eg.families, eg.solvers, eg.game, eg.certificates, eg.plots, eg.learners, eg.bridge):
        assert module.__all__
        for name in module.__all__:
            assert getattr(module, name) is not None
