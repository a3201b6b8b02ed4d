"""The path by which every version starts a worker, also of another commit: see :mod:`multigrad.process.child`."""

from .process.child import Death, Message, main, run, run_here

__all__ = ["Death", "Message", "main", "run", "run_here"]

if __name__ == "__main__":
    main()
