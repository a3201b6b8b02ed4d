"""Print operations of the catalogue that lie far apart: the first of each of its files, then the second of each …"""

import sys
from itertools import chain, islice, zip_longest

from multigrad import operations


def spread(count: int) -> list[str]:
    """Return the names of so many operations."""
    families: dict[str, list[str]] = {}
    for op in operations().values():
        families.setdefault(op.function.__module__, []).append(op.name)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return list(islice((name for name in turns if name is not None), count))


if __name__ == "__main__":
    print(",".join(spread(int(sys.argv[1]))))
