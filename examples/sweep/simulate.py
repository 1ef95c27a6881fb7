#!/usr/bin/env python3
"""A bakery that bakes so many loaves an hour, through a day of ten hours, in whole loaves and cents.

It prints what the day came to, and knows nothing of exprec.
"""

import argparse
import random

HOURS = 10
MISSED = 150
"""Cents that are not earned with a customer who finds the shelf empty."""
STALE = 40
"""Cents that a loaf costs which does not fit on the shelf, or is left there in the evening."""
SHELF = 15


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, required=True, help="loaves an hour")
    parser.add_argument("--seed", type=int, default=1, help="of the customers")
    options = parser.parse_args()
    chance = random.Random(options.seed).random
    shelf = missed = stale = 0
    for _ in range(HOURS):
        customers = 5 + int(11 * chance())
        shelf += options.rate
        missed += max(0, customers - shelf)
        shelf = max(0, shelf - customers)
        stale += max(0, shelf - SHELF)
        shelf = min(shelf, SHELF)
    stale += shelf
    baked = HOURS * options.rate
    print(f"baked {baked}\nsold {baked - stale}\nmissed {missed}\nstale {stale}")
    print(f"cost {MISSED * missed + STALE * stale}")


if __name__ == "__main__":
    main()
