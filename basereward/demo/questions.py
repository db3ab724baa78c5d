"""A kind of question and a random state -> one comparison as a row: messages, images, responses, ranks.

The rule that makes this a test of looking: given the question and the set of answers, every order of quality is as
likely as its reverse. The answers are drawn first, which of them the picture makes right is drawn after; their order
is drawn without regard to that, and all are worded alike. So whoever does not see the picture is right half the time.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from basereward.demo.pictures import (
    COLOURS,
    NUMBERS,
    SHAPES,
    Drawing,
    one_shape,
    placed_shape,
    placed_shapes,
    png_of_split,
    several_dots,
)

Row = dict[str, Any]
Kind = Callable[[random.Random, str], Row]
"""(random state, split) -> row."""

COLOUR_NAMES = tuple(COLOURS)
COLOUR_QUESTIONS = ("What colour is the shape?", "Which colour do you see?", "Tell me the colour of the shape.")
COLOUR_ANSWERS = ("It is {}.", "The shape is {}.", "The colour is {}.")
SHAPE_QUESTIONS = ("What shape is it?", "Which shape do you see?", "Tell me what shape this is.")
SHAPE_ANSWERS = ("It is a {}.", "The picture shows a {}.", "I see a {}.")
COUNT_QUESTIONS = ("How many dots are there?", "What is the number of dots?", "Count the dots.")
COUNT_ANSWERS = ("There are {}.", "I count {}.", "The number is {}.")
BOTH_QUESTIONS = ("What colours are the two shapes?", "Which two colours do you see?", "Name the colours of the two shapes.")
BOTH_ANSWERS = ("They are {} and {}.", "I see {} and {}.", "The colours are {} and {}.")
OF_TWO_QUESTIONS = ("What colour is the shape in the {} picture?", "Tell me the colour of the {} picture's shape.")
WHICH_QUESTIONS = ("Which picture shows the {} shape?", "In which picture is the shape {}?")
MORE_QUESTIONS = ("Which picture has more dots?", "Where do you see more dots?", "In which picture are there more dots?")
PLACE_ANSWERS = ("The {} picture.", "It is the {} one.", "In the {} picture.")
DESCRIBE_QUESTIONS = ("Describe the picture.", "What does the picture show?", "What do you see?")
DESCRIBE_ANSWERS = ("It is a {} {}.", "The picture shows a {} {}.", "I see a {} {}.")
POSITION_QUESTIONS = ("Where is the shape?", "In which part of the picture is the shape?")
POSITION_ANSWERS = ("It is at the {}.", "You find it at the {}.")
RELATION_QUESTIONS = ("Which colour is the shape {} the {} one?", "What colour do you see {} the {} shape?")
PLACES = ("first", "second")

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("left", "right"), ("day", "night"), ("fast", "slow"),
    ("open", "closed"), ("early", "late"), ("wet", "dry"), ("old", "young"), ("happy", "sad"), ("hard", "soft"),
)  # fmt: skip
SAY_QUESTIONS = ("Say the word {}.", "Please repeat this word: {}.", "Write the word {}.")
OPPOSITE_QUESTIONS = ("What is the opposite of {}?", "Which word is the opposite of {}?")
WORD_ANSWERS = ("The word is {}.", "It is {}.")


def colour(rng: random.Random, split: str) -> Row:
    """Two to four colours; the shape has one of them."""
    answers = _some(rng, COLOUR_NAMES)
    return _row(rng, split, COLOUR_QUESTIONS, COLOUR_ANSWERS, answers, [one_shape(answers[0], rng.choice(SHAPES))])


def shape(rng: random.Random, split: str) -> Row:
    """Two to four shapes; the picture shows one of them."""
    answers = _some(rng, SHAPES)
    return _row(rng, split, SHAPE_QUESTIONS, SHAPE_ANSWERS, answers, [one_shape(rng.choice(COLOUR_NAMES), answers[0])])


def count(rng: random.Random, split: str) -> Row:
    """Two to four numbers; the picture has one of them as dots. No wrong number is better than another."""
    answers = _some(rng, NUMBERS)
    drawing = several_dots(NUMBERS.index(answers[0]) + 1, rng.choice(COLOUR_NAMES))
    return _row(rng, split, COUNT_QUESTIONS, COUNT_ANSWERS, answers, [drawing])


def two_pictures(rng: random.Random, split: str) -> Row:
    """Two pictures of two colours; two or three answers that name two colours each and share one with any other.

    The colours of an answer stand in a fixed order: in the order of the pictures they would tell the right answer.
    """
    three = sorted(rng.sample(COLOUR_NAMES, 3), key=COLOUR_NAMES.index)
    answers = rng.sample(list(itertools.combinations(three, 2)), rng.choice((2, 3)))
    drawings = [one_shape(name, rng.choice(SHAPES)) for name in rng.sample(answers[0], 2)]
    return _row(rng, split, BOTH_QUESTIONS, BOTH_ANSWERS, answers, drawings)


def more_dots(rng: random.Random, split: str) -> Row:
    """Two pictures with different numbers of dots; which of them has more?"""
    few, many = sorted(rng.sample(range(1, len(NUMBERS) + 1), 2))
    place, names = rng.randrange(2), rng.sample(COLOUR_NAMES, 2)
    drawings = [several_dots(number, name) for number, name in zip((many, few), names, strict=True)]
    return _row(rng, split, MORE_QUESTIONS, PLACE_ANSWERS, [PLACES[place], PLACES[1 - place]], drawings[:: 1 - 2 * place])


def of_two(rng: random.Random, split: str) -> Row:
    """Two pictures of two colours; the question names one of them, and the wrong answer is right for the other."""
    colours, place = rng.sample(COLOUR_NAMES, 2), rng.randrange(2)
    drawings = [one_shape(name, rng.choice(SHAPES)) for name in colours]
    questions = [question.format(PLACES[place]) for question in OF_TWO_QUESTIONS]
    return _row(rng, split, questions, COLOUR_ANSWERS, [colours[place], colours[1 - place]], drawings)


def which_picture(rng: random.Random, split: str) -> Row:
    """Two pictures of two colours; the question names a colour, the answer is the picture that has it."""
    colours, place = rng.sample(COLOUR_NAMES, 2), rng.randrange(2)
    drawings = [one_shape(name, rng.choice(SHAPES)) for name in colours]
    questions = [question.format(colours[place]) for question in WHICH_QUESTIONS]
    return _row(rng, split, questions, PLACE_ANSWERS, [PLACES[place], PLACES[1 - place]], drawings)


def ranking(rng: random.Random, split: str) -> Row:
    """Three or four descriptions by colour and shape: both right, one right, none right.

    Four answers are all pairings of two colours and two shapes, and each of them may be the right one. Of three, the one
    in the middle is half right whichever of the two others is shown.
    """
    colours, shapes = rng.sample(COLOUR_NAMES, 2), rng.sample(SHAPES, 2)
    right, half, other_half, wrong = ((colours[i], shapes[j]) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    if rng.random() < 0.5:
        answers, ranks = [right, half, other_half, wrong], [0, 1, 1, 2]
    else:
        answers, ranks = [right, rng.choice((half, other_half)), wrong], [0, 1, 2]
    return _row(rng, split, DESCRIBE_QUESTIONS, DESCRIBE_ANSWERS, answers, [one_shape(*right)], ranks)


def position(rng: random.Random, split: str) -> Row:
    """Left or right, top or bottom; the shape is in that part of the picture."""
    column, row = rng.randrange(2), rng.randrange(2)
    names, place = (("left", "right"), column) if rng.random() < 0.5 else (("top", "bottom"), row)
    drawing = placed_shape(rng.choice(COLOUR_NAMES), rng.choice(SHAPES), column=column, row=row)
    return _row(rng, split, POSITION_QUESTIONS, POSITION_ANSWERS, [names[place], names[1 - place]], [drawing])


def relation(rng: random.Random, split: str) -> Row:
    """Three shapes in one picture; which colour stands beside, above or below a named one."""
    named, right, wrong = rng.sample(COLOUR_NAMES, 3)
    column, row = rng.randrange(2), rng.randrange(2)
    beside, across = (named, column, row), [(1 - column, row), (column, 1 - row)]
    is_level = rng.random() < 0.5
    asked = "next to" if is_level else ("below" if row == 0 else "above")
    spots = zip((right, wrong), across if is_level else across[::-1], strict=True)
    shapes = [(name, rng.choice(SHAPES), *spot) for name, spot in [(beside[0], beside[1:]), *spots]]
    questions = [question.format(asked, named) for question in RELATION_QUESTIONS]
    return _row(rng, split, questions, COLOUR_ANSWERS, [right, wrong], [placed_shapes(shapes)])


def text(rng: random.Random, split: str) -> Row:
    """No picture: a word to be repeated, or the opposite of a word."""
    pair, others = rng.sample(OPPOSITES, 2)
    side = rng.randrange(2)
    is_repeat = rng.random() < 0.5
    templates = SAY_QUESTIONS if is_repeat else OPPOSITE_QUESTIONS
    answers = [pair[side] if is_repeat else pair[1 - side], rng.choice(others)]
    return _row(rng, split, [question.format(pair[side]) for question in templates], WORD_ANSWERS, answers, [])


KINDS: dict[str, Kind] = {
    "colour": colour,
    "shape": shape,
    "count": count,
    "two_pictures": two_pictures,
    "ranking": ranking,
    "text": text,
    "more_dots": more_dots,
    "of_two": of_two,
    "which_picture": which_picture,
    "position": position,
    "relation": relation,
}
TEXT_KINDS = ("text",)


def _some(rng: random.Random, names: Sequence[str]) -> list[str]:
    """Two, three or four names in random order."""
    return rng.sample(names, rng.choice((2, 3, 4)))


def _row(
    rng: random.Random,
    split: str,
    questions: Sequence[str],
    wordings: Sequence[str],
    answers: Sequence[str | tuple[str, ...]],
    drawings: Sequence[Drawing],
    ranks: Sequence[int] = (0, 1, 1, 1),
) -> Row:
    """The row of these answers, of which the first is right and no other unless `ranks` says so, in random order."""
    order = rng.sample(range(len(answers)), len(answers))
    wording = rng.choice(wordings)
    words = [answer if isinstance(answer, tuple) else (answer,) for answer in answers]
    images = [{"type": "image"} for _ in drawings]
    return {
        "messages": [{"role": "user", "content": [*images, {"type": "text", "text": rng.choice(questions)}]}],
        "images": [png_of_split(drawing, rng, split=split) for drawing in drawings],
        "responses": [wording.format(*words[i]) for i in order],
        "ranks": [ranks[i] for i in order],
    }
