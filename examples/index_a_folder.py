"""Index a folder of photos, then ask for those nearest to one photo.

python examples/index_a_folder.py PHOTOS QUERY.jpg
"""

import sys
from pathlib import Path

from lykeion import search
from lykeion.search.products import draw_answer

folder, photo = map(Path, sys.argv[1:])
index = folder.with_suffix(".index")

report = search.add(folder, index)  # run it again at any time: only new and changed photos are embedded
print(report.summary())

[answer] = search.query(index, photo, k=5)
for hit in answer.results:
    print(f"{hit.score:.3f}  {hit.id}")

draw_answer(Path("answers.png"), answer, index)
