"""A fresh start off XLA's thread pool, on which batched factorisations can wait for each other for ever."""

import os
import sys

FLAG = "--xla_cpu_multi_thread_eigen=false"


def restart_without() -> None:
    """Start the same command over with XLA off its thread pool (jaxlib 0.10.2, CPU); only once, and not where the flag is set.

    The flag is read when JAX is imported, so that nothing but another process can set it. For commands only.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
