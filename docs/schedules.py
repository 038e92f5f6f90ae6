"""Draws docs/images/schedules.png: every learning-rate schedule, as a recipe makes it.

python docs/schedules.py
"""

from pathlib import Path

from vislearn import pictures
from vislearn.training.schedules import CYCLIC_MODES, SCHEDULES, build_schedule

STEPS = 300
IMAGE = Path(__file__).with_name("images") / "schedules.png"


def rates(name: str, **options) -> list[float]:
    """The rate of each step as a share of the peak."""
    schedule = build_schedule(name, 1.0, STEPS, **options)
    return [float(schedule(step)) if callable(schedule) else schedule for step in range(STEPS)]


def main() -> None:
    found = {name: rates(name) for name in SCHEDULES if name != "cyclic"}
    found |= {f"cyclic, {mode}": rates("cyclic", mode=mode) for mode in CYCLIC_MODES}
    found["step, warmup 0.1"] = rates("step", warmup=0.1)
    pictures.save(pictures.schedules(found), IMAGE)


if __name__ == "__main__":
    main()
