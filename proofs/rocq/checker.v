(** * What the certificate checker checks is enough

    Labels: C1, C2, C3.  Imports: averaging.v, mixture.v, sharpness.v (the
    weights), weighted_norm.v (T4).  Scalars: any ordered field.  Axioms: none.

    The hypotheses of the theorems are the inequalities that the checker
    [expfam_game/certificates/check.py] verifies, as they are written in
    [c1_anchored.py], [c2_contraction.py] and [c3_mean.py] there:

    - [a] is the matrix of weights with nonnegative entries, [own a] = D its
      diagonal, [others a] = B the rest.  C2 and C3 do not need rows that sum to
      one, so they hold for weights as they are stored, in floats;
    - [m] holds the means of the private data, [mu] the computed means, one row
      for each agent and one column for each statistic;
    - [enclose] returns numbers below and above [D m + B x - y]: they enter here
      as the hypotheses [.. <= upper] and [lower <= .. <= upper].  That the
      arithmetic in [rounding.py] (rational, ball or directed rounding) does
      return such numbers is not the subject of this file;
    - every number in a certificate may be worse than what the checker computes,
      so [s], [q], the box and the error bound enter through inequalities.

    Then: [1 - B] is invertible with nonnegative inverse ([C2_unit],
    [C2_inverse_ge0], [C2_inverse_row_sums]); best response contracts with the
    certified factor ([C2_contracts], [C2_powers]); the game is anchored
    ([C1_anchored], [C2_anchored]); there is exactly one equilibrium
    ([C2_equilibrium]); it lies in the certified box ([C3_box],
    [C3_rational_box]) and within the certified distance ([C3_error_bound]). *)

From mathcomp Require Import all_ssreflect all_algebra.
From ExpfamGame Require Import averaging mixture sharpness weighted_norm.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** C1: hops along positive weights that end at somebody's data *)

Section C1.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n).
Variables (next_hop : 'I_n -> 'I_n) (doublings : nat).

(** [reached = reached[reached]], repeated. *)
Definition reached := iter doublings (fun f => f \o f) next_hop.

Hypothesis hops_are_edges : forall i, 0 < a i (next_hop i).
Hypothesis hops_reach_data : forall i, 0 < a (reached i) (reached i).

Lemma reached_listens i : listens a i (reached i).
Proof.
rewrite /reached; elim: doublings i => [|t IH] i; first exact: connect1.
by rewrite iterS /=; apply: connect_trans (IH i) (IH _).
Qed.

Theorem C1_anchored : grounded a.
Proof. by move=> i; exists (reached i); [exact: reached_listens|]. Qed.

End C1.

(** ** Equilibria in mean parameters *)

Section Equilibrium.
Variables (R : realFieldType) (n d : nat) (a : 'M[R]_n).
Implicit Types m mu : 'M[R]_(n, d).

(** Everybody's best response to the means [mu]. *)
Definition answers m mu := own a *m m + others a *m mu.

Definition equilibrium m mu := answers m mu = mu.

(** Statistics do not interact: each column is an affine map of its own. *)
Lemma answers_column m mu k :
  col k (answers m mu) = affine (others a) (own a *m col k m) (col k mu).
Proof. by rewrite /answers /affine !colE mulmxDl !mulmxA. Qed.

Lemma equilibrium_column m mu k : equilibrium m mu ->
  affine (others a) (own a *m col k m) (col k mu) = col k mu.
Proof. by move=> eq; rewrite -answers_column eq. Qed.

Lemma equilibrium_system m mu :
  equilibrium m mu <-> (1%:M - others a) *m mu = own a *m m.
Proof.
rewrite /equilibrium /answers mulmxBl mul1mx; split=> [eq|<-]; last by rewrite subrK.
by rewrite -{1}eq addrK.
Qed.

End Equilibrium.

(** ** C2: [w > 0] and [s > 0] with [B w <= w - s] *)

Section C2.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n).
Variables (w : 'cV[R]_n) (s q : R) (upper : 'I_n -> R).

Hypothesis a_ge0 : forall i j, 0 <= a i j.
Hypothesis w_gt0 : forall i, 0 < w i 0.
Hypothesis s_gt0 : 0 < s.
(** The upper ends of [enclose(alpha, 0, w, w)], and [slack = - max upper]. *)
Hypothesis enclosed : forall i, (others a *m w) i 0 - w i 0 <= upper i.
Hypothesis s_proved : forall i, s <= - upper i.
(** [contraction_factor >= 1 - s / max w] *)
Hypothesis q_proved : factor w s <= q.

Let B := others a.

Lemma C2_weights i j : 0 <= B i j.
Proof. by rewrite mxE; case: eqP. Qed.

Lemma C2_slack i : (B *m w) i 0 <= w i 0 - s.
Proof.
rewrite -ler_subl_addl; apply: le_trans (enclosed i) _.
by rewrite ler_oppr s_proved.
Qed.

Theorem C2_unit : 1%:M - B \in unitmx.
Proof. exact: slack_unit C2_weights w_gt0 s_gt0 C2_slack. Qed.

Theorem C2_inverse_ge0 i j : 0 <= invmx (1%:M - B) i j.
Proof. exact: slack_inverse_ge0 C2_weights w_gt0 s_gt0 C2_slack i j. Qed.

(** [(1 - B)^-1 1 <= w / s]: all that C3 needs to know about the inverse. *)
Theorem C2_inverse_row_sums i :
  (invmx (1%:M - B) *m (const_mx 1 : 'cV_n)) i 0 <= w i 0 / s.
Proof.
have wE : w = invmx (1%:M - B) *m ((1%:M - B) *m w) by rewrite mulKmx ?C2_unit.
rewrite ler_pdivl_mulr // mulrC -mul_entry_scale {1}wE.
apply: (mul_le C2_inverse_ge0) => j; rewrite mxE mxE mulr1 mulmxBl mul1mx mxE.
by rewrite [X in _ <= _ + X]mxE ler_subr_addl -ler_subr_addr C2_slack.
Qed.

Theorem C2_contracts c x y :
  vnorm w (affine B c x - affine B c y) <= q * vnorm w (x - y).
Proof.
have := slack_contracts c C2_weights w_gt0 s_gt0 C2_slack x y.
by move/le_trans; apply; rewrite ler_wpmul2r ?vnorm_ge0.
Qed.

(** All powers decay: the spectral radius of [B] is at most [q]. *)
Theorem C2_powers t x : vnorm w (iter t (mulmx B) x) <= q ^+ t * vnorm w x.
Proof.
have q_ge0 := factor_ge0 C2_weights w_gt0 C2_slack.
have := slack_powers C2_weights w_gt0 s_gt0 C2_slack t x.
move/le_trans; apply; rewrite ler_wpmul2r ?vnorm_ge0 // ler_expn2r //.
by rewrite nnegrE (le_trans q_ge0).
Qed.

Theorem C2_anchored : (forall i, \sum_j a i j = 1) -> grounded a.
Proof. by move=> rows; apply: unit_grounded C2_unit; split. Qed.

Theorem C2_equilibrium d (m : 'M[R]_(n, d)) mu :
  equilibrium a m mu <-> mu = invmx (1%:M - B) *m (own a *m m).
Proof.
rewrite equilibrium_system; split=> [<-|->]; first by rewrite mulKmx ?C2_unit.
by rewrite mulKVmx ?C2_unit.
Qed.

Corollary C2_equilibrium_exists d (m : 'M[R]_(n, d)) : exists mu, equilibrium a m mu.
Proof. by exists (invmx (1%:M - B) *m (own a *m m)); apply/C2_equilibrium. Qed.

Corollary C2_equilibrium_unique d (m mu nu : 'M[R]_(n, d)) :
  equilibrium a m mu -> equilibrium a m nu -> mu = nu.
Proof. by move=> /C2_equilibrium-> /C2_equilibrium->. Qed.

(** ** C3: a box around the computed means *)

Section C3.
Variables (d : nat) (m mu : 'M[R]_(n, d)).
Variables (box_lower box_upper : 'M[R]_(n, d)) (star : 'M[R]_(n, d)).
Hypothesis star_equilibrium : equilibrium a m star.

Section Residual.
Variables (low high : 'M[R]_(n, d)).

(** [enclose(alpha, means, mu, mu)] encloses the residual [D m + B mu - mu]. *)
Hypothesis residual_enclosed :
  forall i k, low i k <= (answers a m mu - mu) i k <= high i k.

(** The largest residual of a statistic: [residual] in [residual_box]. *)
Definition residual k := largest (fun i => Num.max `|low i k| `|high i k|).

Lemma residual_le i k : `|(answers a m mu - mu) i k| <= residual k.
Proof.
apply: le_trans (le_largest (fun i => Num.max `|low i k| `|high i k|) i).
have /andP[low_le le_high] := residual_enclosed i k; rewrite le_maxr.
have [r_ge0|r_lt0] := leP 0 ((answers a m mu - mu) i k); apply/orP.
  by right; rewrite !ger0_norm // (le_trans r_ge0).
left; rewrite !ltr0_norm ?ler_opp2 //.
exact: le_lt_trans low_le r_lt0.
Qed.

Theorem C3_radius i k : `|(mu - star) i k| <= w i 0 / s * residual k.
Proof.
have star_fixed := equilibrium_column k star_equilibrium.
have entry (M : 'M[R]_(n, d)) j : M j k = (col k M) j 0 by rewrite mxE.
have column_sub (M N : 'M[R]_(n, d)) : col k (M - N) = col k M - col k N.
  by rewrite !colE mulmxBl.
rewrite entry column_sub.
apply: (residual_bound C2_weights w_gt0 s_gt0 C2_slack star_fixed) => j.
by rewrite -answers_column -column_sub -entry residual_le.
Qed.

(** The box of the certificate contains [mu - radius] and [mu + radius]. *)
Hypothesis box_lower_le : forall i k, box_lower i k <= mu i k - w i 0 / s * residual k.
Hypothesis box_upper_ge : forall i k, mu i k + w i 0 / s * residual k <= box_upper i k.

Theorem C3_box i k : box_lower i k <= star i k <= box_upper i k.
Proof.
have := C3_radius i k; rewrite mxE [X in _ + X]mxE distrC ler_distl => /andP[l u].
by rewrite (le_trans (box_lower_le i k) l) (le_trans u (box_upper_ge i k)).
Qed.

End Residual.

(** For small games: an exact rational solution [numerators / denominator]. *)
Section Rational.
Variables (numerators : 'M[R]_(n, d)) (denominator : R).
Hypothesis denominator_gt0 : 0 < denominator.
Hypothesis is_solution :
  (1%:M - others a) *m numerators = denominator *: (own a *m m).

Theorem C3_rational_solution : star = denominator^-1 *: numerators.
Proof.
apply: C2_equilibrium_unique star_equilibrium _; apply/equilibrium_system.
by rewrite -scalemxAr is_solution scalerA mulVf ?scale1r // gt_eqF.
Qed.

Hypothesis box_lower_le : forall i k, box_lower i k <= numerators i k / denominator.
Hypothesis box_upper_ge : forall i k, numerators i k / denominator <= box_upper i k.

Theorem C3_rational_box i k : box_lower i k <= star i k <= box_upper i k.
Proof. by rewrite C3_rational_solution mxE mulrC box_lower_le box_upper_ge. Qed.

End Rational.

(** Whichever way the box was proved. *)
Section ErrorBound.
Variable error_bound : 'I_n -> R.
Hypothesis in_box : forall i k, box_lower i k <= star i k <= box_upper i k.
Hypothesis bound_ge : forall i k,
  Num.max (box_upper i k - mu i k) (mu i k - box_lower i k) <= error_bound i.

Theorem C3_error_bound i k : `|mu i k - star i k| <= error_bound i.
Proof.
have /andP[lower_le le_upper] := in_box i k.
have := bound_ge i k; rewrite le_maxl => /andP[above below].
rewrite ler_norml ler_oppl opprB; apply/andP; split.
  by apply: le_trans above; rewrite ler_add2r.
by apply: le_trans below; rewrite ler_add2l ler_opp2.
Qed.

End ErrorBound.
End C3.
End C2.

Print Assumptions C1_anchored.
Print Assumptions C2_unit.
Print Assumptions C2_inverse_ge0.
Print Assumptions C2_inverse_row_sums.
Print Assumptions C2_contracts.
Print Assumptions C2_powers.
Print Assumptions C2_anchored.
Print Assumptions C2_equilibrium.
Print Assumptions C2_equilibrium_exists.
Print Assumptions C2_equilibrium_unique.
Print Assumptions C3_radius.
Print Assumptions C3_box.
Print Assumptions C3_rational_solution.
Print Assumptions C3_rational_box.
Print Assumptions C3_error_bound.
