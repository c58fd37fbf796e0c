"""The simulated saga in its short form, and how its words are read."""

from tests.resilience.section import Order
from tests.resilience.sections import simulation

TOLD = """violation one capture at most
  seen       ord_1 is paid
  schedule   seed=3 purchases=0.1 faults=2
  shows      ord_1 is paid (12 steps)
seeds 2
steps 9000
orders 40
captures 30
refunds 20
seconds 0.3
steps_a_minute 1800000
fault 7 lost requests
violations 1
"""


def test_the_simulated_saga_holds(tmp_path):
    section = simulation.run(Order(seed=1, size="short", folder=tmp_path))
    assert section.violations == []
    assert int(section.figures["steps"].replace(",", "")) >= 400_000
    assert int(section.figures["orders"].replace(",", "")) >= 1_000
    assert int(section.figures["faults"].replace(",", "")) >= 1_000


def test_a_violation_is_told_with_its_smallest_schedule():
    section = simulation.judged(1, TOLD)
    assert section.violations == ["one capture at most: ord_1 is paid (`seed=3 purchases=0.1 faults=2`)"]
    assert section.figures == {"steps": "9,000", "orders": "40", "faults": "7"}


def test_a_slow_or_broken_program_is_a_violation():
    slow = TOLD[TOLD.index("seeds") :].replace("1800000", "900000")
    assert simulation.judged(0, slow).violations == ["900,000 steps a minute, promised 1,000,000"]
    assert simulation.judged(134, "aborted in seed 4").violations != []


def test_every_planted_defect_is_hunted():
    assert len(simulation.defects()) >= 15
    assert len(set(simulation.defects())) == len(simulation.defects())
