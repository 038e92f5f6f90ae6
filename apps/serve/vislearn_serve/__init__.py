"""`vislearn serve`: exported packages behind HTTP.

From the outside in: `server` (sockets, slow clients, draining), `gate` (keys, limits, deadlines,
logs), `bodies` and `memory` (what requests send and hold), `app` with the routes of `tf_serving`,
`open_inference` and `uploads`, `service` (what they share), `shelf` and `packages` (what lies in
the folder, loaded and replaced), `batching` (the queue before each model). Neither Keras nor
TensorFlow is loaded, unless the SavedModels are served.
"""

from vislearn_serve.app import create_app
from vislearn_serve.settings import Settings

__all__ = ["Settings", "create_app"]
