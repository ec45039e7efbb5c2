"""Templates of what the service says in English of studies and of judged scores: verdicts, plans, caveats."""

from dashboard.language import marked

VERDICTS = (
    marked("No arm is shown to be better or worse than %(baseline)s."),
    marked("No arm differs from %(baseline)s by more than %(margin)s."),
    marked("Too few seeds to decide anything: the first verdict is given at %(seeds)s."),
    marked("Every verdict is withheld. %(verdict)s"),
    marked("Taken as a plan of one look: %(verdict)s"),
    marked("%(arm)s: not decided (%(mean)s points %(interval)s)%(advice)s"),
    marked("%(arm)s: no difference larger than %(margin)s points (%(mean)s %(interval)s)%(rest)s"),
    marked("%(arm)s: nothing learned. %(reason)s"),
    marked("%(arm)s: withheld. %(reason)s"),
    marked(
        "%(arm)s: too few seeds to decide (n = %(n)s); %(missing)s more until the first verdict, at %(seeds)s seeds."
    ),
    marked("%(arm)s is better by %(mean)s points %(interval)s."),
    marked("%(arm)s is worse by %(mean)s points %(interval)s."),
    marked("%(ends)s, n = %(n)s, on these test images"),
    marked("; about %(seeds)s seeds in all (%(least)s to %(most)s) would tell %(margin)s points from none.%(rest)s"),
    marked(
        "; not even %(seeds)s seeds would tell %(margin)s points from none: more test images are missing, "
        "not more seeds."
    ),
    marked(" At the next look, %(seeds)s seeds, the chance is %(chance)s %%."),
    marked(" The plan is used up: more seeds need a new plan."),
    marked("After %(runs)s clean runs a failure rate up to %(rate)s %% cannot be excluded."),
    marked("An effect found early is on average overstated; the lower end %(low)s is what is shown."),
    marked("No plan was recorded before the first run; the 5 % hold only if seeds, arms and margin were set by then."),
    marked(
        "%(arm)s: its reduction leaves bottlenecks of few units (%(places)s), which can die and then no longer see the "
        "image. Take a smaller reduction or set least_width."
    ),
    marked(
        "%(arm)s: its reduction leaves bottlenecks of few units (%(places)s), which can die and then no longer see the "
        "image. Take a smaller reduction."
    ),
    marked(
        "There is no validation split, so curves are of the test images. If anything was chosen by them, these "
        "verdicts are too good."
    ),
    marked("One test image is %(points)s points (%(images)s test images)."),
    marked(
        "Always naming the most frequent class has %(share)s %%, chance is %(chance)s %%; %(least)s to %(most)s test "
        "images of each of %(classes)s classes."
    ),
    marked(
        "Always naming the most frequent class has %(share)s %%, chance is %(chance)s %%; %(images)s test images of "
        "each of %(classes)s classes."
    ),
    marked("%(backbone)s, %(data)s, n = %(n)s"),
    marked("The study is still running: %(ended)s of %(runs)s runs have ended; nothing can be said yet."),
    marked("The study is still running: %(ended)s of %(runs)s runs have ended; nothing is chosen yet."),
    marked(
        "Plan of %(when)s, made before its first run: %(arms)s against %(baseline)s, verdicts at %(looks)s and "
        "%(last)s seeds, %(margin)s, %(score)s."
    ),
    marked(
        "Plan of %(when)s, made before its first run: %(arms)s against %(baseline)s, verdicts at %(looks)s seeds, "
        "%(margin)s, %(score)s."
    ),
    marked(
        "Plan of %(when)s, made late: %(arms)s against %(baseline)s, verdicts at %(looks)s and %(last)s seeds, "
        "%(margin)s, %(score)s."
    ),
    marked(
        "Plan of %(when)s, made late: %(arms)s against %(baseline)s, verdicts at %(looks)s seeds, "
        "%(margin)s, %(score)s."
    ),
    marked(
        "%(ended)s of %(runs)s runs had ended before this plan was made; the 5 %% hold only if nobody had looked at "
        "them."
    ),
    marked("a margin of %(margin)s points"),
    marked("%(count)s arm"),
    marked("%(count)s arms"),
    marked("A margin of %(margin)s points is less than one test image and cannot be seen."),
    marked("The arms have %(least)s to %(most)s finished runs; only shared seeds are compared."),
    marked("Whether anything was learned was not checked: how many images each class has is not recorded."),
    marked("%(share)s %% of the test images are of one class: balanced accuracy is the better score."),
    marked("Images that stand in both splits, so that the test has been seen in training: %(count)s."),
    marked("Images that stand there with more than one label: %(count)s."),
    marked("The data had no split; one was made by the hash of each file."),
    marked("Training images that were cut for validation, alike of each class, by the hash of each file: %(count)s."),
    marked("The modules sit at different places (%(places)s): a ranking mixes module and place."),
    marked("%(seeds)s seeds will be judged at %(judged)s; the next look is at %(upcoming)s."),
    marked("%(seeds)s seeds will be judged at %(judged)s; the plan ends there."),
    marked(
        "%(seeds)s seeds decide nothing: the first verdict is given at %(first)s. The runs are kept, so more seeds can "
        "follow."
    ),
    marked(
        "About %(unseen)s of %(images)s training images are never seen: %(epochs)s of %(batches)s whole batches of "
        "%(batch)s. Take more epochs or a smaller batch_size."
    ),
    marked("Nothing is chosen, for nothing was learned: no run can be told from naming the most frequent class."),
    marked(
        "Taken as the first look at %(seeds)s seeds of a plan of %(looks)s; if you looked at fewer before, say "
        "first_look."
    ),
    marked(
        "Fewer than %(least)s pairs have no interval: it would rest on the normal shape of the differences, which so "
        "few do not show."
    ),
    marked("If the scores are error rates, say percent or share as their unit."),
    marked("Not trained: with its score, a run cannot be told from guessing on %(images)s test images."),
    marked("Runs beyond the first %(seeds)s of each side are not used before the next look: %(runs)s."),
    marked("%(arm)s: seeds of one side only are not used: %(seeds)s."),
    marked(
        "The runs are judged unpaired, for the files have no seeds. With a column seed, and the same seeds in every "
        "arm, runs of one seed are compared, which guards against a lucky baseline."
    ),
    marked("Unpaired: name each run's seed in a seed column, so that runs of one seed are compared with each other."),
    marked("Lower is better: differences are turned, so that more than zero is an improvement."),
    marked(
        "Runs end at different steps, %(first)s (arm '%(arm)s', seed %(seed)s) to %(last)s; the last of each was "
        "taken. Name a step to take the same of all."
    ),
    marked("%(line)s has the score %(score)s, which is not that of its answers on each image, so these are not used."),
    marked(
        "What one test image is worth in %(unit)s is not known, so their number and the majority's share are not used."
    ),
    marked("No run of %(who)s can be told from always naming the most frequent class on %(images)s test images."),
    marked("No run of %(who)s can be told from always naming the most frequent class."),
    marked("%(diverged)s of %(runs)s runs of %(who)s diverged."),
    marked(
        "%(diverged)s of %(runs)s runs of %(who)s diverged, and no run of %(who_2)s can be told from always "
        "naming the most frequent class on %(images)s test images."
    ),
    marked("Nothing learned."),
    marked("the baseline"),
    marked("%(count)s epochs"),
    marked("%(count)s epoch"),
    marked(
        "Not checked: whether the arms differ in recipe, data, width or place; whether anything was learned; how much "
        "the draw of test images matters."
    ),
)
"""Sentences with values, which may be sentences again."""
