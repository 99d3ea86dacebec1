from .certificate import Certificate, Claim, Grade
from .certify import certify
from .check import check

__all__ = ["Certificate", "Claim", "Grade", "certify", "check"]
