"""Speed against the peers, side by side in one run; see README.md here.

Calls are synchronous in all scripts. The result of an asynchronous one is ready before the memory of its program is released: a
peer that gives gigabytes back would do so in the time of whoever is measured next.
"""

import jax

jax.config.update("jax_cpu_enable_async_dispatch", False)
