"""MCL-JCV: thirty 1920x1080 clips of five seconds, of the Media Communications Lab of USC.

Wang et al., "MCL-JCV: a JND-based H.264/AVC video quality assessment dataset", ICIP 2016.

What is known: the file names `videoSRC<NN>_1920x1080_<fps>.yuv`, 8-bit 4:2:0, and the frame rates,
which several public test configurations of learned codecs list alike; and that the lab's mirror on
Hugging Face, `uscmcl/MCL-JCV_Dataset`, is some forty zip files with the clips under
`MCL_JCV/1080P/YUV_source/`, beside 720p copies and thousands of coded versions. What is not: sizes
and checksums of the files, so that the number of frames, five seconds of each rate, is not checked,
and whether the mirror looks the same today: none of this was tried against the real server.

So a clip is looked for under its name with any frame rate or none, and as `.mp4` too; what has more
in its name, such as `_25_qp_40`, is a coded version. A `.yuv` must be a whole number of frames.
"""

from __future__ import annotations

from fractions import Fraction

from inrcodec.datasets._dataset import Dataset, ZipParts

__all__ = ["CLIPS"]

_WIDTH, _HEIGHT = 1920, 1080
_SECONDS = 5
_REPOSITORY = "uscmcl/MCL-JCV_Dataset"
_FPS_24 = {17, 21, 22, 23, 24, 25, 29}
_FPS_25 = {5, 6, 7, 8, 9, 18, 20}


def _clip(number: int) -> Dataset:
    fps = 24 if number in _FPS_24 else 25 if number in _FPS_25 else 30
    title = f"videoSRC{number:02d}"
    name = f"mcl-jcv/{title}"
    stem = f"{title}_{_WIDTH}x{_HEIGHT}"
    any_rate = rf"{stem}(_\d+(\.\d+)?)?"
    return Dataset(
        name=name,
        title=f"{title} of the MCL-JCV dataset",
        licence="see the provider's page",
        page="https://mcl.usc.edu/mcl-jcv-dataset",
        width=_WIDTH,
        height=_HEIGHT,
        num_frames=_SECONDS * fps,
        size_bytes=None,
        sha256=None,
        how_to_get=f"inrcodec datasets {name} --fetch",
        file_name=f"{stem}_{fps}.yuv",
        name_patterns=(
            rf"{any_rate}\.yuv",
            rf"{title}\.yuv",
            rf"{any_rate}\.mp4",
            rf"{title}\.mp4",
        ),
        group="mcl-jcv",
        pixel_format="yuv420p",
        fps=Fraction(fps),
        source=ZipParts(
            listing_url=f"https://huggingface.co/api/datasets/{_REPOSITORY}/tree/main",
            files_url=f"https://huggingface.co/datasets/{_REPOSITORY}/resolve/main/",
            member=rf"(.*/)?{any_rate}\.yuv",
        ),
    )


CLIPS = tuple(_clip(number) for number in range(1, 31))
