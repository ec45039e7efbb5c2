"""One photo through three networks: what they say, what their gates do, and the table for a paper.

    python examples/look.py [PHOTO]

Without a photo it takes a sample of the gallery. The networks come trained with the project.
"""

import sys

from attention import look


def main() -> None:
    """Compare, and give the answer as a table, as LaTeX and as numbers."""
    report = look(sys.argv[1] if len(sys.argv) > 1 else "cat_wool.jpg", "none", "se", "eca", top_k=3)
    print(report, "\n")
    print(report.latex(), "\n")
    for gate in report.predictions[1].gates[:3]:
        print(f"{gate.path}: mean {gate.mean:.3f}, from {gate.min:.3f} to {gate.max:.3f}")


if __name__ == "__main__":
    main()
