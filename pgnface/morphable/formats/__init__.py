"""Readers of face-model files, one module a format.

A reader has two functions: ``matches(contents, path)``, whether a file is of its format, and
``read(contents, path)``, the model in our axes and units. ``contents`` are the arrays of the file
as :func:`.contents.read_contents` gives them, by name; of a file that holds no named arrays they
are empty, and the reader goes by the path.
"""

from . import ict_npz, npz

#: In the order in which they are asked.
READERS = (npz, ict_npz)
