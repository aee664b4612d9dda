"""NGT: a neighbourhood graph, refined to ONNG. Its wheel has no program that makes its quantized graph."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import ngtpy
import numpy as np
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered


class ONNG(Unfiltered):
    about = "ONNG: ANNG with 100 edges a node, then 10 outgoing and 120 incoming"
    settings = tuple(
        {"epsilon": epsilon} for epsilon in (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.14, 0.2, 0.3)
    )

    def build(self, data: VectorSet, directory: Path) -> None:
        directory.mkdir(parents=True)
        plain, refined = directory / "anng", directory / "onng"
        ngtpy.create(
            str(plain), data.dimension, edge_size_for_creation=100, edge_size_for_search=-2, distance_type="L2"
        )
        index = ngtpy.Index(str(plain))
        index.batch_insert(data.rows.astype(np.float32), num_threads=2)
        index.save()
        index.close()
        optimizer = ngtpy.Optimizer(num_of_outgoings=10, num_of_incomings=120, log_disabled=True)
        optimizer.set_processing_modes(search_parameter_optimization=False, accuracy_table_generation=False)
        optimizer.execute(str(plain), str(refined))

    def open(self, data: VectorSet, directory: Path) -> None:
        self._index = ngtpy.Index(str(directory / "onng"), read_only=True)

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def search(self, setting: Setting, k: int) -> Search:
        search, epsilon = self._index.search, setting["epsilon"]

        def one(query: np.ndarray, _: None) -> Any:
            return search(query, k, epsilon)

        return one

    def ids(self, answer: Any) -> list[int]:
        return [row for row, _ in answer]
