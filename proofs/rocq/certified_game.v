(** * A certified box contains the means of every Nash equilibrium

    Labels: C2, C3 (for the game itself).  Imports: checker.v and game.v, and
    what they import.  Axioms: the three classical ones of MathComp-Analysis.

    checker.v speaks of the linear system [mu = D m + B mu].  Here that system is
    the one of the game on a finite sample space: the means of a profile solve it
    exactly when nobody can gain by deviating ([nash_iff_equilibrium]).  So, once
    the inequalities of C2 and C3 are checked, all Nash equilibria give every
    agent the same distribution ([certified_nash_unique]), and their means lie in
    the box ([certified_nash_in_box]).  Whether a profile with these means exists
    (whether they are inside the mean space of the family) is C4. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp.analysis Require Import reals.
From ExpfamGame Require Import averaging mixture weighted_norm checker.
From ExpfamGame Require Import gibbs expfam game.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** Profiles as matrices, one row for each agent *)

Section Rows.
Variables (R : realFieldType) (n d : nat) (a : 'M[R]_n).
Implicit Types mu m : {ffun 'I_n -> 'rV[R]_d}.

Definition rows mu : 'M[R]_(n, d) := \matrix_(i, k) mu i 0 k.

Lemma rowsE mu i k : rows mu i k = mu i 0 k.
Proof. exact: mxE. Qed.

Lemma rows_inj mu mu' : rows mu = rows mu' -> mu = mu'.
Proof.
move=> same; apply/ffunP=> i; apply/rowP=> k.
by have /matrixP/(_ i k) := same; rewrite !rowsE.
Qed.

Lemma rows_act (M : 'M[R]_n) mu : rows (act M mu) = M *m rows mu.
Proof.
apply/matrixP=> i k; rewrite rowsE actE summxE [RHS]mxE.
by apply: eq_bigr => j _; rewrite rowsE mxE.
Qed.

Lemma rows_response m mu : rows (response a m mu) = answers a (rows m) (rows mu).
Proof.
rewrite response_act /answers -!rows_act; apply/matrixP=> i k.
by rewrite rowsE ffunE mxE [RHS]mxE !rowsE.
Qed.

Lemma fixed_point_equilibrium m mu :
  response a m mu = mu <-> equilibrium a (rows m) (rows mu).
Proof.
rewrite /equilibrium -rows_response; split=> [fixed|]; last exact: rows_inj.
exact: (congr1 rows fixed).
Qed.

End Rows.

(** ** The game *)

Section CertifiedGame.
Variables (R : realType) (X : finType) (d n : nat).
Variables (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.
Hypothesis X_gt0 : (0 < #|X|)%N.

Variables (a : 'M[R]_n) (pi : 'I_n -> X -> R).
Hypothesis a_stochastic : stochastic a.
Hypothesis pi_distribution : forall i, distribution (pi i).

Implicit Types theta : 'I_n -> 'rV[R]_d.

Local Notation nash := (nash h phi a pi).
Local Notation mean_matrix theta := (rows (means h phi theta)).

Let m := rows (private_moments phi pi).

Theorem nash_iff_equilibrium theta : nash theta <-> equilibrium a m (mean_matrix theta).
Proof.
apply: (iff_trans (nash_iff_fixed_point phi h_gt0 X_gt0 a_stochastic pi_distribution theta)).
exact: fixed_point_equilibrium.
Qed.

(** The inequalities of C2. *)
Variables (w : 'cV[R]_n) (s : R) (upper : 'I_n -> R).
Hypothesis w_gt0 : forall i, 0 < w i 0.
Hypothesis s_gt0 : 0 < s.
Hypothesis enclosed : forall i, (others a *m w) i 0 - w i 0 <= upper i.
Hypothesis s_proved : forall i, s <= - upper i.

Theorem certified_nash_unique theta theta' : nash theta -> nash theta' ->
  forall i, density h phi (theta i) =1 density h phi (theta' i).
Proof.
have a_grounded : grounded a.
  by apply: (C2_anchored a_stochastic.1 w_gt0 s_gt0 enclosed s_proved a_stochastic.2).
exact: (nash_unique h_gt0 X_gt0 a_stochastic pi_distribution a_grounded).
Qed.

(** The inequalities of C3, for computed means [mu] and a box. *)
Variables mu low high box_lower box_upper : 'M[R]_(n, d).
Hypothesis residual_enclosed :
  forall i k, low i k <= (answers a m mu - mu) i k <= high i k.
Hypothesis box_lower_le :
  forall i k, box_lower i k <= mu i k - w i 0 / s * residual low high k.
Hypothesis box_upper_ge :
  forall i k, mu i k + w i 0 / s * residual low high k <= box_upper i k.

Theorem certified_nash_in_box theta : nash theta -> forall i k,
  box_lower i k <= mean h phi (theta i) 0 k <= box_upper i k.
Proof.
move=> /nash_iff_equilibrium eq i k.
have := C3_box a_stochastic.1 w_gt0 s_gt0 enclosed s_proved eq
          residual_enclosed box_lower_le box_upper_ge i k.
by rewrite rowsE ffunE.
Qed.

End CertifiedGame.

Definition certified_results :=
  (nash_iff_equilibrium, certified_nash_unique, certified_nash_in_box).
Print Assumptions certified_results.
