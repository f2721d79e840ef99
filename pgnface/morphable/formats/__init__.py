"""Readers of face-model files, one module a format.

A reader has a name, ``FORMAT``, and two functions: ``matches(contents, path)``, whether a file is
of its format, and ``read(contents, path, landmarks)``, the model in our axes and units.
``contents`` are the arrays of the file as :func:`.contents.read_contents` gives them, by name; of a
file that holds no named arrays, or a folder, they are empty, and the reader goes by the path.
``landmarks`` are the user's own vertex ids (68,), which come before the file's, or None.
"""

from . import bfm2009, bfm2017, deep3d, flame, hifi3d, ict_folder, ict_npz, npz, surrey, tddfa

#: In the order in which they are asked.
READERS = (npz, ict_npz, ict_folder, bfm2009, deep3d, tddfa, bfm2017, hifi3d, flame, surrey)
