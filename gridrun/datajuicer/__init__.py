"""Room for experiments written for datajuicer: change `datajuicer` to `gridrun.datajuicer` in their imports.

    from gridrun.datajuicer import run, split, configure, query, reduce_keys
    from gridrun.datajuicer.visualizers import *

The names and shapes are the old ones, beneath them works gridrun's engine. What differs, on purpose:

- Keys tell 1, 1.0, True and "1" apart, and arrays by content. Results made by the old engine are not read.
- Results are stored without pickle: numbers, texts, arrays, tensors, frames, and lists and dicts of these.
- In `where`, a key that some points lack is no match; a key that all of them lack is an error.
- `order` of a table applies to every axis, `label_dict` is left as it is, an empty place stays empty.
- A changed evaluation is computed again; a changed training is not, and a warning names what changed.
- `store_key` holds for plain functions too.
- In LaTeX, places where several points meet show mean and standard deviation.
"""

from .utils import cachable as cachable
from .utils import configure as configure
from .utils import dj as dj
from .utils import djm as djm
from .utils import format_template as format_template
from .utils import get as get
from .utils import make_unique as make_unique
from .utils import query as query
from .utils import reduce_keys as reduce_keys
from .utils import run as run
from .utils import split as split
