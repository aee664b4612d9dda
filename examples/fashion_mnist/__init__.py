"""A catalogue to try photo search on: Fashion-MNIST, 70,000 photos of clothes, shoes and bags from a shop.

``python -m examples.fashion_mnist DIR --photos 10000`` writes photos, a manifest and a query photo to DIR. Where the
data set cannot be had, it writes the sample that lies here.

The photos are real, 28 x 28 pixels, grey, white on black (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747; MIT
licence). Their categories are the data set's labels. The prices are made up, so that filters have something to
filter; they depend on the photo's number alone.
"""

from .catalogue import write_catalogue
from .dataset import DataSet, load
from .published import CATEGORIES, DataSetError

__all__ = ["CATEGORIES", "DataSet", "DataSetError", "load", "write_catalogue"]
