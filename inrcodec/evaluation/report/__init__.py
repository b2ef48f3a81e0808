"""`report.html`: the points of an evaluation in one file that needs no network.

`_data.py` turns records into plain data, `_viewer.py` chooses frames, `_pictures.py` embeds them
within a budget, `_page.py` puts all with `template.html`, `style.css`, `report.js` and Plotly into
the page.
"""

from inrcodec.evaluation.report._page import write_report

__all__ = ["write_report"]
