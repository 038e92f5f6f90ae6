"""A worker process of the direct runner, `python -m vislearn_batch.process`.

Beam's own tells of every channel that it opens. Here only errors are printed; what is logged goes
to the runner as well, whose process prints it as it is set up to.
"""

import logging
import sys

if __name__ == "__main__":
    logging.basicConfig()
    logging.getLogger().handlers[0].setLevel(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
