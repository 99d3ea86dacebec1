from .c6_search import all_equilibria, certify_all, certify_along
from .certificate import Certificate, Claim, Grade
from .certify import certify
from .check import check
from .equilibria import EquilibriaCertificate

__all__ = [
    "Certificate",
    "Claim",
    "EquilibriaCertificate",
    "Grade",
    "all_equilibria",
    "certify",
    "certify_all",
    "certify_along",
    "check",
]
