"""Index a folder of photos, then ask for those nearest to one photo.

python examples/index_a_folder.py PHOTOS QUERY.jpg

The index and a picture of the results are written to a new temporary folder, whose path is printed.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from lykeion import search

folder, photo = map(Path, sys.argv[1:])
work = Path(mkdtemp())
index = work / "photos.index"

report = search.add(folder, index)  # run it again at any time: only new and changed photos are embedded
print(report.summary())

[answer] = search.query(index, photo, k=5)
for hit in answer.results:
    print(f"{hit.score:.3f}  {hit.id}")

search.draw_answer(work / "answers.png", answer, index)
print(work / "answers.png")
