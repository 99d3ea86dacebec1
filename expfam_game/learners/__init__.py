"""Latent-variable models that fit weighted, partly labelled, incomplete samples and draw new ones.

Imports ``samples`` and ``kernels`` only. Read in this order: ``labelled.py`` (what all models with a class label
share), ``mixture.py`` (EM for any mixture with a class label), ``bernoulli_mixture.py`` (the default for binary
images), ``factor_analysers.py`` (grey images), ``trees.py`` (Chow–Liu trees), ``class_conditional.py`` (one density of
any make per class), ``networks.py``, ``objectives.py``, ``autoencoder.py`` (the black box).
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
