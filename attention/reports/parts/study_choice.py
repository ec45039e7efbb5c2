"""What a study chose among its arms by validation accuracy; nothing is claimed of the test images by it."""

from pydantic import Field

from attention.spec import Plain


class Choice(Plain):
    """The arm with the best mean validation accuracy, over the seeds that all arms have finished."""

    arm: str = Field(description="Short name of the chosen arm, with its recipe where there are several.")
    n: int = Field(description="Seeds that the means are over.")
    validation_accuracy: dict[str, float] = Field(description="Arm -> mean accuracy on the validation images, points.")
    test_accuracy: float = Field(description="Mean test accuracy of the chosen arm over the same seeds, points.")
    next_seed: int = Field(description="The first seed that had no part in the choice.")

    @property
    def sentence(self) -> str:
        """What was chosen, by how much, and what is to be done before anything is claimed."""
        best = self.validation_accuracy[self.arm]
        others = {name: mean for name, mean in self.validation_accuracy.items() if name != self.arm}
        second = max(others, key=others.__getitem__)
        return (
            f"Chosen by validation accuracy over n = {self.n}: {self.arm} ({best:.2f} %; the next is {second} with "
            f"{others[second]:.2f} %). It has {self.test_accuracy:.2f} % on the test images, of which nothing is "
            f"claimed: test it in a new plan with seeds from {self.next_seed} on."
        )
