"""Prints the golden values of the optimisers' tests, in double precision and with nothing done late:

    python3 ml/testdata/optimizers/golden.py > ml/testdata/optimizers/golden.json

Each optimiser is written down here from its paper, one coordinate at a time, and every penalty acts on every
coordinate at every row.
"""
import json
from math import exp, log1p, sqrt


class Sgd:
    def __init__(self, rate):
        self.rate, self.w = rate, 0.0

    def meet(self, x):
        pass

    def step(self, g):
        self.w -= self.rate * g

    def own_rate(self):
        return self.rate

    def penalise(self, l1, l2):
        r = self.own_rate()
        w = self.w * max(1 - r * l2, 0.0)
        sign = 1 if w > 0 else -1
        self.w = sign * max(abs(w) - r * l1, 0.0)


class Momentum(Sgd):
    def __init__(self, rate, momentum):
        super().__init__(rate)
        self.momentum, self.v = momentum, 0.0

    def step(self, g):
        self.v = self.momentum * self.v + g
        self.w -= self.rate * self.v

    def own_rate(self):
        return self.rate / (1 - self.momentum)


class Nesterov(Momentum):
    def step(self, g):
        self.v = self.momentum * self.v + g
        self.w -= self.rate * (g + self.momentum * self.v)


class Adagrad(Sgd):
    def __init__(self, rate, initial):
        super().__init__(rate)
        self.squares = initial

    def step(self, g):
        self.squares += g * g
        self.w -= self.rate * g / sqrt(self.squares)

    def own_rate(self):
        return self.rate / sqrt(self.squares)


class NormalizedAdagrad(Sgd):
    def __init__(self, rate, initial):
        super().__init__(rate)
        self.initial, self.squares, self.scale = initial, 0.0, 0.0

    def meet(self, x):
        if abs(x) > self.scale:
            self.w *= self.scale / abs(x)
            self.scale = abs(x)

    def step(self, g):
        self.squares += g * g
        self.w -= self.own_rate() * g

    def own_rate(self):
        if self.scale == 0:
            return 0.0
        return self.rate / (self.scale * sqrt(self.initial * self.scale**2 + self.squares))


class Adam(Sgd):
    def __init__(self, rate, beta1, beta2, epsilon):
        super().__init__(rate)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.m = self.s = 0.0
        self.t = 0

    def step(self, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.s = self.beta2 * self.s + (1 - self.beta2) * g * g
        m, s = self.m / (1 - self.beta1**self.t), self.s / (1 - self.beta2**self.t)
        self.w -= self.rate * m / (sqrt(s) + self.epsilon)


class Ftrl(Sgd):
    def __init__(self, rate, beta, l1, l2):
        self.rate, self.beta, self.l1, self.l2 = rate, beta, l1, l2
        self.z = self.n = 0.0

    @property
    def w(self):
        if abs(self.z) <= self.l1:
            return 0.0
        sign = 1 if self.z > 0 else -1
        return -(self.z - sign * self.l1) / ((self.beta + sqrt(self.n)) / self.rate + self.l2)

    def step(self, g):
        sigma = (sqrt(self.n + g * g) - sqrt(self.n)) / self.rate
        w = self.w
        self.z += g - sigma * w
        self.n += g * g

    def penalise(self, l1, l2):
        pass


def ftrl(l1, l2):
    return Ftrl(0.5, 1.0, l1, l2)


MAKE = {
    "sgd": lambda l1, l2: Sgd(0.1),
    "momentum": lambda l1, l2: Momentum(0.05, 0.5),
    "nesterov": lambda l1, l2: Nesterov(0.05, 0.5),
    "adagrad": lambda l1, l2: Adagrad(0.5, 1.0),
    "normalized_adagrad": lambda l1, l2: NormalizedAdagrad(0.5, 1.0),
    "adam": lambda l1, l2: Adam(0.1, 0.8, 0.9, 1e-8),
    "ftrl": ftrl,
}

# One coordinate: a value of the feature, and the gradient that it had.
STEPS = [(1.0, 0.5), (0.5, -0.25), (2.0, 1.0), (1.0, 0.0), (-4.0, -2.0), (1.0, 0.75)]

# Five rows of four features; a bias stands behind them.
ROWS = [[1, 0, 2, 0], [0, 0.5, 0, 1], [1, 1, 0, 0], [0, 0, -1, 3], [2, 0, 0, 1]]
LABELS = [1, 0, 1, 0, 1]


def steps(make):
    one, weights = make(0, 0), []
    for x, g in STEPS:
        one.meet(x)
        one.step(g)
        weights.append(one.w)
    return weights


def regression(make, l1, l2):
    cells, loss = [make(l1, l2) for _ in range(4)] + [make(0, 0)], 0.0
    if isinstance(cells[4], Ftrl):
        # FTRL's penalties are part of its rule, for the bias too.
        cells[4] = make(l1, l2)
    for _ in range(3):
        for row, label in zip(ROWS, LABELS):
            row = row + [1]
            for cell, x in zip(cells, row):
                if x != 0:
                    cell.meet(x)
            z = sum(cell.w * x for cell, x in zip(cells, row))
            loss += log1p(exp(z)) - label * z
            error = 1 / (1 + exp(-z)) - label
            for cell, x in zip(cells, row):
                if x != 0:
                    cell.step(error * x)
            for cell in cells[:4]:
                cell.penalise(l1, l2)
    return {"l1": l1, "l2": l2, "weights": [cell.w for cell in cells], "loss": loss}


def late(weight, rate, l1, l2, count):
    cell = Sgd(rate)
    cell.w = weight
    for _ in range(count):
        cell.penalise(l1, l2)
    return {"weight": weight, "rate": rate, "l1": l1, "l2": l2, "steps": count, "after": cell.w}


golden = {
    "steps": {name: steps(make) for name, make in MAKE.items()},
    "regression": {
        name: [regression(make, l1, l2) for l1, l2 in [(0, 0), (0, 0.3), (0.02, 0), (0.02, 0.1)]]
        for name, make in MAKE.items()
    },
    "late": [
        late(weight, 0.125, l1, l2, count)
        for weight in (0.75, -2.5)
        for l1, l2 in [(0, 0.5), (0.25, 0), (0.25, 0.5), (0, 16)]
        for count in (0, 1, 7, 40)
    ],
}
print(json.dumps(golden, indent=1))
