"""The figures of the paper: image experiments and theory, one file a figure. ``python -m paper_figures`` lists them."""
