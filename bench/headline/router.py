"""A layer's router in torch, read from its text: ids and weights from logits."""

import re

SCORES = {
    "softmax": lambda torch, logits: torch.softmax(logits, dim=-1),
    "sigmoid": lambda torch, logits: torch.sigmoid(logits),
    "sqrtsoftplus": lambda torch, logits: torch.nn.functional.softplus(logits).sqrt(),
}
STAGES = re.compile(r"(?:(?P<score>softmax|sigmoid|sqrtsoftplus)(?P<key_bias>\+bias)?>)?"
                    r"(?:groups\((?P<groups>\d+),(?P<kept>\d+),(?P<rule>max|sum2)\)>)?topk"
                    r"(?:>(?P<weigh>softmax|sigmoid))?"
                    r"(?P<renorm>>renorm(?:\((?P<epsilon>[^)]+)\))?)?"
                    r"(?:>scale\((?P<scale>[^)]+)\))?(?P<input>>input)?")


class Router:
    """`key_bias`: a bias joins the keys, by which experts are chosen, and not the weights. `input`:
    the weight multiplies what an expert reads."""

    def __init__(self, text):
        found = STAGES.fullmatch(text)
        if not found:
            raise ValueError(f"the headline's systems do not route by {text}")
        self.score, self.rule, self.weigh = found["score"], found["rule"], found["weigh"]
        self.groups, self.kept = int(found["groups"] or 0), int(found["kept"] or 0)
        self.key_bias, self.renorm, self.input = (bool(found[name]) for name in
                                                  ("key_bias", "renorm", "input"))
        self.epsilon = float(found["epsilon"] or (0 if self.score == "softmax" else 1e-20))
        self.scale = float(found["scale"] or 1)

    def choose(self, torch, logits, k, bias=None):
        """(ids i32 [T,k], weights f32 [T,k]), best first. bias [e] is that of the keys."""
        scores = SCORES[self.score](torch, logits) if self.score else logits
        keys = scores + bias if self.key_bias else scores
        if self.groups:
            keys = self.within_groups(torch, keys)
        ids = torch.topk(keys, k, dim=-1).indices
        return ids.int(), self.weights(scores.gather(-1, ids))

    def within_groups(self, torch, keys):
        """Keys outside of the best groups of each token are -inf."""
        grouped = keys.unflatten(-1, (self.groups, -1))
        best = grouped.topk(1 if self.rule == "max" else 2, dim=-1).values.sum(dim=-1)
        kept = torch.zeros_like(best, dtype=torch.bool)
        kept.scatter_(-1, best.topk(self.kept, dim=-1).indices, True)
        return grouped.masked_fill(~kept[..., None], float("-inf")).flatten(-2)

    def weights(self, chosen):
        """Weights from the scores of the chosen."""
        if self.weigh:
            chosen = chosen.softmax(dim=-1) if self.weigh == "softmax" else chosen.sigmoid()
        if self.renorm:
            chosen = chosen / (chosen.sum(dim=-1, keepdim=True) + self.epsilon)
        return chosen * self.scale if self.scale != 1 else chosen
