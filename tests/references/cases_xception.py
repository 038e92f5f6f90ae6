"""References of Xception."""

from case import KerasCase

KERAS = {"xception": KerasCase("xception", "Xception", (71, 71, 3), gain=1.2)}
