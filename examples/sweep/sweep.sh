#!/bin/sh
# Record the bakery at every rate, tag the cheapest run `best`, and compare it with the first.
set -eu

# What is typed is recorded as it is typed: from this folder it is the same on every machine.
cd "$(dirname "$0")"
# Nobody waits in a pager here.
export EXPREC_PAGER=cat

first='' least=''
for rate in 9 10 11 12; do
    run=$(exprec run -q --name "bakery-$rate" --input simulate.py -- ./simulate.py --rate "$rate")
    # What the simulation printed; the address comes on stderr.
    cost=$(exprec show "$run" 2>/dev/null | sed -n 's/^cost //p')
    echo "rate $rate  cost $cost"
    first=${first:-$run}
    if [ -z "$least" ] || [ "$cost" -lt "$least" ]; then
        least=$cost best=$run
    fi
done

exprec tag --force best "$best"
exprec log
exprec diff --no-exit-code "$first" best
