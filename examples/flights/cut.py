"""Turns the flights of a Parquet file into rows of CSV; `make.sh` calls it and says what for.

    python cut.py flights-3m.parquet OUT [EVERY]

Keeps every EVERY-th row (rows 0, EVERY, 2 EVERY, ...; default 1: all of them) in the order of the source. A name
that ends in .zst is compressed. The same versions of pyarrow and zstandard give the same bytes.
"""

import io
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import zstandard

LEVEL = 19
LATE_MINUTES = 15


def derive(flights):
    """The columns that a model can use, and the label, from the five of the source."""
    date = flights["date"]
    hour = pc.hour(date)
    return pa.table({
        "delayed": pc.cast(pc.greater(flights["delay"], LATE_MINUTES), pa.int8()),
        "day": pc.day_of_year(date),
        "weekday": pc.day_of_week(date),
        "hour": hour,
        "quarter": pc.add(pc.multiply(hour, 4), pc.divide(pc.minute(date), 15)),
        "origin": flights["origin"],
        "destination": flights["destination"],
        "distance": flights["distance"],
    })


def main(source, target, every=1):
    flights = pyarrow.parquet.read_table(source, columns=["date", "delay", "distance", "origin", "destination"])
    for name in flights.column_names:
        if flights[name].null_count:
            sys.exit(f"{source}: column {name} has {flights[name].null_count} empty values, expected none")
    rows = derive(flights.take(pa.array(range(0, flights.num_rows, int(every)))))
    text = io.BytesIO()
    text.write((",".join(rows.column_names) + "\n").encode())
    # Airport codes and integers: nothing in here needs quotes, and the writer fails should that change.
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    pyarrow.csv.write_csv(rows, text, options)
    data = text.getvalue()
    if target.endswith(".zst"):
        data = zstandard.ZstdCompressor(level=LEVEL).compress(data)
    with open(target, "wb") as file:
        file.write(data)
    print(f"{target}: {rows.num_rows} rows, {len(data)} bytes")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
