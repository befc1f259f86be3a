import os
import signal
import threading

# One thread per worker keeps the two cores to themselves under `-n auto`; set before JAX starts its thread pool.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax

jax.config.update("jax_enable_x64", True)

# A shell that starts the tests in the background has them ignore Ctrl-C, and their children inherit that: these are interrupted.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
