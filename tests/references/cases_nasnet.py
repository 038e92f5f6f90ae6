"""References of NASNets."""

from case import KerasCase

KERAS = {
    "nasnet_mobile": KerasCase("nasnet_mobile", "NASNetMobile", input_shape=(48, 32, 3)),
    "nasnet_large": KerasCase("nasnet_large", "NASNetLarge", input_shape=(40, 40, 3), slow=True),
}
