"""``python -m web.cli``: the command line without the installed script, as ``veza serve`` starts its worker."""

import sys

from web.cli import main

sys.exit(main())
