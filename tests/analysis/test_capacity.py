"""The plan's arithmetic against hand-computed examples, exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bench.analysis.capacity import Asked, Figure, Known, grown, need, plan

P = 10**15


def known() -> Known:
    """400 T rated at fp16 and 800 T at int8; 300 T measured, 200 T over a scenario, at fp16."""
    return Known(
        (
            Figure("rated", "fp16", "", Fraction(400 * 10**12), "data sheet"),
            Figure("rated", "int8", "", Fraction(800 * 10**12), "data sheet"),
            Figure("measured", "fp16", "", Fraction(300 * 10**12), "a run"),
            Figure("effective", "fp16", "llm_pretrain", Fraction(200 * 10**12), "a run"),
        )
    )


def figures(**changes: Any) -> dict[tuple[str, str], Fraction]:
    (entry,) = plan([Asked(**({"name": "chip", "kind": "installed"} | changes))], {"chip": known()}).entries
    return {(figure.basis, figure.precision): figure.operations_per_s for figure in entry.figures}


def test_a_count_gives_each_basis_at_each_precision_that_is_known() -> None:
    assert figures(count=250) == {
        ("rated", "fp16"): 100 * P,
        ("rated", "int8"): 200 * P,
        ("measured", "fp16"): 75 * P,
        ("effective", "fp16"): 50 * P,
    }


def test_a_nameplate_of_known_chips_tells_how_many_there_are_and_what_they_deliver() -> None:
    found = figures(nameplate=Fraction(120 * P), precision="fp16")
    assert found["rated", "fp16"] == 120 * P
    assert found["effective", "fp16"] == 60 * P
    assert found["rated", "int8"] == 240 * P


def test_a_nameplate_without_a_precision_stays_without_one() -> None:
    found = plan([Asked(name="chip", kind="installed", nameplate=Fraction(670 * P))], {"chip": known()})
    assert [(one.basis, one.precision) for one in found.entries[0].figures] == [("rated", "undisclosed")]
    assert found.totals == {}


def test_kinds_and_precisions_are_never_added_together() -> None:
    asked = [
        Asked(name="a", kind="installed", nameplate=Fraction(100 * P), precision="fp16"),
        Asked(name="b", kind="installed", nameplate=Fraction(50 * P), precision="fp16"),
        Asked(name="c", kind="contracted", nameplate=Fraction(120 * P), precision="fp16"),
        Asked(name="d", kind="installed", nameplate=Fraction(7 * P), precision="int8"),
    ]
    assert plan(asked, {}).totals == {
        ("installed", "rated", "fp16", ""): 150 * P,
        ("contracted", "rated", "fp16", ""): 120 * P,
        ("installed", "rated", "int8", ""): 7 * P,
    }


def test_how_many_for_100_p_depends_on_the_basis() -> None:
    counts = {}
    for basis, work in (("rated", ""), ("measured", ""), ("effective", "llm_pretrain")):
        found = need("chip", known(), Fraction(100 * P), basis, "fp16", work)  # type: ignore[arg-type]  # a literal each
        assert found is not None
        counts[basis] = found.count
    assert counts == {"rated": 250, "measured": 334, "effective": 500}
    assert need("chip", known(), Fraction(100 * P), "measured", "int8") is None


def test_energy_and_cost_are_exact() -> None:
    asked = Asked(
        name="chip", kind="installed", count=10, power_w=Fraction(700), pue=Fraction("1.3"), price=Fraction("29999.99")
    )
    (entry,) = plan([asked], {"chip": known()}).entries
    assert entry.facility_w == 9100
    assert entry.energy_j_per_year == 9100 * 8760 * 3600
    assert entry.cost == Fraction("299999.9")


def test_growth_is_compounded_exactly() -> None:
    assert grown(Fraction(268), Fraction("0.523"), 1) == Fraction("408.164")
    assert grown(Fraction(268), Fraction("0.523"), 3) == Fraction("946.748234756")
