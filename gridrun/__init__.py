"""gridrun: a grid of neural networks, trained once, evaluated once, drawn from what was stored."""

from .cache import cachable as cachable
from .cache import current_session as current_session
from .cache import pickle_saver as pickle_saver
from .errors import GridrunError as GridrunError
from .errors import MissingKey as MissingKey
from .errors import NotComputed as NotComputed
from .errors import StoreError as StoreError
from .errors import UsageError as UsageError
from .grid import configure as configure
from .grid import make_unique as make_unique
from .grid import query as query
from .grid import reduce_keys as reduce_keys
from .grid import split as split
from .grid import to_frame as to_frame
from .runner import GridrunWarning as GridrunWarning
from .runner import PointState as PointState
from .runner import ensure as ensure
from .runner import explain as explain
from .runner import run as run
from .store import open_store as open_store
from .template import format_template as format_template
from .template import get as get
from .work import Failed as Failed

__version__ = "0.1.0"
