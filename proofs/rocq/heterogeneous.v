(** * Agents with different statistics: uniqueness inside components

    Label T10(a).

    _What is here._  The game in which agent [i] has its own exponential family,
    with base measure [h i] and statistic [phi i : X -> R^(d i)], on a common
    finite sample space [X].  The best response is still moment matching, but the
    moments of [phi i] under the model of another agent are not linear in
    anything that the two share.

    _What it proves._
    - [heterogeneous_best_response_iff]: best response iff moment match.
    - [heterogeneous_unique]: suppose that the weights are anchored and that any
      two agents that listen to each other, directly or through others, have
      statistics that are affine images of each other (the same span of
      [{1, phi}]).  Then two Nash equilibria assign every agent the same
      distribution.  This is T10(a) for any number of strongly connected
      components; base measures may differ, and no family need be minimal.
    - [two_blocks_unique]: the case of two blocks of agents, the first of which
      does not listen to the second, and one statistic in each block.
    - [heterogeneous_parameters_unique]: where a family is minimal, the natural
      parameters agree too.
    - [moment_matching_unique]: the core, for any models that match the mixed
      moments and are identified by the moments of their own statistic.

    The proof: the difference of two equilibria, seen through one statistic of a
    component, solves [z = B z] on that component once the components it listens
    to agree, so it vanishes ([restricted_kernel]); then the next component, in
    the order of the number of agents that a component reaches.

    _What may be imported._  [averaging], [mixture], [gibbs], [expfam] and
    [asynchronous] (for the vector [hitting_time]).  Axioms: the three classical
    ones of MathComp-Analysis; [restricted_kernel] needs none. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp.analysis Require Import reals exp.
From ExpfamGame Require Import averaging mixture asynchronous gibbs expfam.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** A kernel vector on a part of the agents *)

Section RestrictedKernel.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (v : 'I_n -> R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i.
Hypothesis Bv : forall i, \sum_j B i j * v j < v i.

(** [z] vanishes if each entry is zero or the weighted sum of the others. *)
Lemma restricted_kernel (z : 'I_n -> R) :
  (forall i, z i = 0 \/ z i = \sum_j B i j * z j) -> forall i, z i = 0.
Proof.
move=> zE k; pose ratio i := `|z i| / v i.
case: (@arg_maxP _ _ _ k xpredT ratio) => // top _ top_maxP.
have top_max j : ratio j <= ratio top by exact: top_maxP.
have top0 : z top = 0.
  case: (zE top) => // z_top; apply/eqP; rewrite -normr_le0 leNgt; apply/negP=> top_gt0.
  have ratio_gt0 : 0 < ratio top by rewrite divr_gt0.
  have : `|z top| <= (\sum_j B top j * v j) * ratio top.
    rewrite {1}z_top mulr_suml; apply: le_trans (ler_norm_sum _ _ _) _.
    apply: ler_sum => j _; rewrite normrM ger0_norm // -mulrA ler_wpmul2l //.
    by rewrite mulrC -ler_pdivr_mulr //; apply: top_max.
  have -> : `|z top| = v top * ratio top by rewrite mulrC divfK // gt_eqF.
  by rewrite ler_pmul2r // leNgt Bv.
apply/eqP; rewrite -normr_le0.
have := top_max k; rewrite /ratio top0 normr0 mul0r ler_pdivr_mulr //.
by rewrite mul0r.
Qed.

End RestrictedKernel.

(** ** Order of the components *)

Section Components.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n).

(** The agents that [i] listens to, directly or through others. *)
Definition reach i := #|[pred j | listens a i j]|.

(** [i] and [j] are in the same strongly connected component. *)
Definition mutual i j := listens a i j && listens a j i.

Lemma mutual_trans i j k : mutual i j -> mutual j k -> mutual i k.
Proof.
move=> /andP[ij ji] /andP[jk kj]; rewrite /mutual /listens.
by rewrite (connect_trans ij jk) (connect_trans kj ji).
Qed.

Lemma mutual_sym i j : mutual i j = mutual j i.
Proof. by rewrite /mutual andbC. Qed.

Lemma mutual_refl i : mutual i i.
Proof. by rewrite /mutual /listens connect0. Qed.

(** An edge that leaves a component leads to an agent that reaches fewer. *)
Lemma reach_edge i j : 0 < a i j -> ~~ mutual i j -> (reach j < reach i)%N.
Proof.
move=> aij not_mutual; have ij : listens a i j by apply: connect1.
rewrite /mutual ij /= in not_mutual.
apply: proper_card; apply/properP; split; last by exists i; rewrite !inE // /listens connect0.
by apply/subsetP=> k; rewrite !inE; apply: connect_trans.
Qed.

Lemma mutual_reach i j : mutual i j -> reach i = reach j.
Proof.
move=> /andP[ij ji]; apply: eq_card => k; rewrite !inE.
by apply/idP/idP; apply: connect_trans.
Qed.

End Components.

(** ** Minimal families *)

Section Minimal.
Variables (R : realType) (X : finType) (d : nat) (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.

(** No nonzero combination of the statistics is constant. *)
Definition minimal := forall (u : 'rV[R]_d) (c : R), (forall x, dot u (phi x) = c) -> u = 0.

(** In a minimal family the distribution determines the natural parameter. *)
Lemma density_parameter (theta theta' : 'rV[R]_d) : minimal ->
  density h phi theta =1 density h phi theta' -> theta = theta'.
Proof.
move=> minimal_phi same; apply/eqP; rewrite -subr_eq0; apply/eqP.
apply: (minimal_phi _ (A h phi theta - A h phi theta')) => x.
have lnE t : ln (density h phi t x) = ln (h x) + (dot t (phi x) - A h phi t).
  exact: ln_density.
have /addrI := etrans (esym (lnE theta)) (etrans (congr1 (@ln R) (same x)) (lnE theta')).
rewrite dotBl; move: (dot theta _) (dot theta' _) (A _ _ theta) (A _ _ theta').
move=> s s' t t' st; have -> : s = s - t + t by rewrite subrK.
by rewrite st; ring.
Qed.

End Minimal.

(** ** The game *)

Section Game.
Variables (R : realType) (X : finType) (n : nat).
Variables (d : 'I_n -> nat) (h : 'I_n -> X -> R) (phi : forall i, X -> 'rV[R]_(d i)).
Hypothesis h_gt0 : forall i x, 0 < h i x.
Hypothesis X_gt0 : (0 < #|X|)%N.

Variables (a : 'M[R]_n) (pi : 'I_n -> X -> R).
Hypothesis a_stochastic : stochastic a.
Hypothesis pi_distribution : forall i, distribution (pi i).

(** A profile of natural parameters, one of the right dimension per agent. *)
Definition profile := forall i, 'rV[R]_(d i).
Implicit Types theta : profile.

Definition model theta i : X -> R := density (h i) (phi i) (theta i).

Definition heterogeneous_utility theta i (eta : 'rV[R]_(d i)) :=
  a i i * score (h i) (phi i) (pi i) eta +
  \sum_(j | j != i) a i j * score (h i) (phi i) (model theta j) eta.

Definition heterogeneous_best_response theta i := forall eta,
  @heterogeneous_utility theta i eta <= @heterogeneous_utility theta i (theta i).

Definition heterogeneous_nash theta := forall i, heterogeneous_best_response theta i.

(** What agent [i] learns from: its data and the models of the others, mixed. *)
Definition mixed theta i x := a i i * pi i x + \sum_(j | j != i) a i j * model theta j x.

Lemma model_distribution theta i : distribution (model theta i).
Proof. exact: density_distribution. Qed.

Lemma mixed_sum (W : lmodType R) theta i (f : X -> W) :
  \sum_x mixed theta i x *: f x = a i i *: (\sum_x pi i x *: f x) +
  \sum_(j | j != i) a i j *: (\sum_x model theta j x *: f x).
Proof.
under eq_bigr do rewrite scalerDl -scalerA scaler_suml.
rewrite big_split -scaler_sumr exchange_big; congr (_ + _).
by apply: eq_bigr => j _; rewrite scaler_sumr; under eq_bigr do rewrite -scalerA.
Qed.

Lemma mixed_distribution theta i : distribution (mixed theta i).
Proof.
have [a0 a1] := a_stochastic; have [pi0 pi1] := pi_distribution i.
split=> [x|].
  rewrite addr_ge0 ?mulr_ge0 ?sumr_ge0 // => j _.
  by rewrite mulr_ge0 //; case: (model_distribution theta j).
rewrite big_split -mulr_sumr pi1 mulr1 exchange_big -(a1 i) [RHS](bigD1 i) //=.
congr (_ + _); apply: eq_bigr => j _; rewrite -mulr_sumr.
by have [_ ->] := model_distribution theta j; rewrite mulr1.
Qed.

Theorem heterogeneous_best_response_iff theta i :
  heterogeneous_best_response theta i <->
  moment (phi i) (model theta i) = a i i *: moment (phi i) (pi i) +
    \sum_(j | j != i) a i j *: moment (phi i) (model theta j).
Proof.
have utilityE eta : @heterogeneous_utility theta i eta = score (h i) (phi i) (mixed theta i) eta.
  exact/esym/(@mixed_sum [lmodType R of R^o]).
rewrite -[X in _ <-> _ = X](@mixed_sum _ theta i (phi i)).
have dq := mixed_distribution theta i.
rewrite -(maximiser_iff_moment_match (phi i) (h_gt0 i) X_gt0 (theta i) dq).
by split=> best eta; have := best eta; rewrite !utilityE.
Qed.

(** ** Statistics that are affine images of each other *)

(** The statistic of [j] is a function of that of [i], and an affine one. *)
Definition affine_image i j := exists (M : 'M[R]_(d i, d j)) (b : 'rV[R]_(d j)),
  forall x, phi j x = phi i x *m M + b.

Lemma moment_affine i j (M : 'M[R]_(d i, d j)) (b : 'rV[R]_(d j)) (q : X -> R) :
  (forall x, phi j x = phi i x *m M + b) -> \sum_x q x = 0 ->
  moment (phi j) q = moment (phi i) q *m M.
Proof.
move=> phiE q0; rewrite /moment mulmx_suml.
under eq_bigr do rewrite phiE scalerDr.
rewrite big_split -scaler_suml q0 scale0r /=.
rewrite -[RHS]addr0; congr (_ + _); apply: eq_bigr => x _.
by rewrite scalemxAl.
Qed.

Lemma moment_sub i (p q : X -> R) :
  moment (phi i) (fun x => p x - q x) = moment (phi i) p - moment (phi i) q.
Proof. by rewrite -sumrB; apply: eq_bigr => x _; rewrite scalerBl. Qed.

(** ** Uniqueness *)

Hypothesis a_grounded : grounded a.

(** Agents of the same component have the same span of [{1, phi}]. *)
Hypothesis same_span : forall i j, mutual a i j -> affine_image i j.

(** Two families of distributions that match the moments that they mix, and
    that are identified by the moments of the agents' own statistics.  Nothing
    else of exponential families is used here. *)
Section TwoSolutions.
Variables p p' : 'I_n -> X -> R.
Hypothesis p_sum1 : forall i, \sum_x p i x = 1.
Hypothesis p'_sum1 : forall i, \sum_x p' i x = 1.
Hypothesis p_match : forall i, moment (phi i) (p i) =
  a i i *: moment (phi i) (pi i) + \sum_(j | j != i) a i j *: moment (phi i) (p j).
Hypothesis p'_match : forall i, moment (phi i) (p' i) =
  a i i *: moment (phi i) (pi i) + \sum_(j | j != i) a i j *: moment (phi i) (p' j).
Hypothesis identified : forall i,
  moment (phi i) (p i) = moment (phi i) (p' i) -> p i =1 p' i.

Let gap i x := p i x - p' i x.

Let gap_sum0 i : \sum_x gap i x = 0.
Proof. by rewrite sumrB p_sum1 p'_sum1 subrr. Qed.

Let moment_gap i j :
  moment (phi i) (gap j) = moment (phi i) (p j) - moment (phi i) (p' j).
Proof. exact: moment_sub. Qed.

Let gap_moment i :
  moment (phi i) (gap i) = \sum_(j | j != i) a i j *: moment (phi i) (gap j).
Proof.
rewrite moment_gap p_match p'_match opprD addrACA subrr add0r -sumrB.
by apply: eq_bigr => j _; rewrite -scalerBr moment_gap.
Qed.

(** Equal moments of the own statistic make the two distributions equal. *)
Let gap0 i : moment (phi i) (gap i) = 0 -> gap i =1 (fun _ => 0).
Proof.
rewrite moment_gap => /eqP; rewrite subr_eq0 => /eqP/identified same x.
by rewrite /gap same subrr.
Qed.

Let gap0_moment i j : gap j =1 (fun _ => 0) -> moment (phi i) (gap j) = 0.
Proof. by move=> gap_j; apply: big1 => x _; rewrite gap_j scale0r. Qed.

(** One component, when the components that it listens to agree. *)
Let component r :
  (forall j, (reach a j < reach a r)%N -> gap j =1 (fun _ => 0)) ->
  gap r =1 (fun _ => 0).
Proof.
move=> below; apply: gap0; apply/rowP=> c; rewrite [RHS]mxE.
pose z j := if mutual a r j then moment (phi r) (gap j) 0 c else 0.
suff /(_ r) : forall j, z j = 0 by rewrite /z mutual_refl.
have v_gt0 := hitting_time_gt0 a_stochastic a_grounded.
apply: (restricted_kernel (others_ge0 a_stochastic) v_gt0) => [i|i].
  by rewrite (hitting_timeE a_stochastic a_grounded) ltr_subl_addr ltr_addl ltr01.
rewrite {1 2}/z; case: ifP => [ri|_]; [right|by left].
have ir : mutual a i r by rewrite mutual_sym.
have [M [b phiE]] := same_span ir.
rewrite (moment_affine phiE (gap_sum0 i)) gap_moment mulmx_suml summxE others_sum.
apply: eq_bigr => j ji; rewrite -scalemxAl -(moment_affine phiE (gap_sum0 j)).
rewrite /z; case: ifP => [rj|/negbT not_rj]; first by rewrite mxE.
rewrite mulr0; have [->|aij] := eqVneq (a i j) 0; first by rewrite scale0r mxE.
have {}aij : 0 < a i j by rewrite lt_def aij /=; case: a_stochastic.
have not_ij : ~~ mutual a i j.
  by apply: contra not_rj => ij; apply: mutual_trans ij.
have gap_j : gap j =1 (fun _ => 0).
  by apply: below; rewrite (mutual_reach ri); apply: reach_edge.
by rewrite (gap0_moment r gap_j) scaler0 mxE.
Qed.

Theorem moment_matching_unique i : p i =1 p' i.
Proof.
have agree m : forall j, (reach a j < m)%N -> gap j =1 (fun _ => 0).
  elim: m => // m IH j; rewrite ltnS => jm; apply: component => k kj.
  by apply: IH; apply: leq_trans kj jm.
by move=> x; apply/eqP; rewrite -subr_eq0; apply/eqP; apply: (agree (reach a i).+1).
Qed.

End TwoSolutions.

Theorem heterogeneous_unique theta theta' :
  heterogeneous_nash theta -> heterogeneous_nash theta' ->
  forall i, model theta i =1 model theta' i.
Proof.
move=> eq eq'; apply: moment_matching_unique => i.
- by case: (model_distribution theta i).
- by case: (model_distribution theta' i).
- exact/heterogeneous_best_response_iff/eq.
- exact/heterogeneous_best_response_iff/eq'.
- exact: (mean_identifies (h_gt0 i) X_gt0).
Qed.

Theorem heterogeneous_parameters_unique theta theta' :
  heterogeneous_nash theta -> heterogeneous_nash theta' ->
  forall i, minimal (phi i) -> theta i = theta' i.
Proof.
move=> eq eq' i min_i; apply: (density_parameter (h_gt0 i) min_i).
exact: heterogeneous_unique eq eq' i.
Qed.

End Game.

(** ** Two blocks *)

Section TwoBlocks.
Variables (R : realType) (X : finType) (n : nat) (first : pred 'I_n).
Variables (d1 d2 : nat) (phi1 : X -> 'rV[R]_d1) (phi2 : X -> 'rV[R]_d2).
Variables (a : 'M[R]_n) (pi : 'I_n -> X -> R).
Hypothesis X_gt0 : (0 < #|X|)%N.
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.
Hypothesis pi_distribution : forall i, distribution (pi i).

(** The first block does not listen to the second. *)
Hypothesis first_closed : forall i j, first i -> ~~ first j -> a i j = 0.

Let d i := if first i then d1 else d2.
Let phi i : X -> 'rV[R]_(d i) :=
  if first i as f return (X -> 'rV[R]_(if f then d1 else d2)) then phi1 else phi2.

Theorem two_blocks_unique (h : 'I_n -> X -> R) (theta theta' : profile R d) :
  (forall i x, 0 < h i x) ->
  heterogeneous_nash h phi a pi theta -> heterogeneous_nash h phi a pi theta' ->
  forall i, model h phi theta i =1 model h phi theta' i.
Proof.
move=> h_gt0; apply: heterogeneous_unique => // i j /andP[ij ji].
have closed s t : listens a s t -> first s -> first t.
  move=> st; apply: connect_stays st => {s t} s t s1 ast.
  by apply: contraTT ast => t2; rewrite first_closed // ltxx.
have same : first i = first j by apply/idP/idP; apply: closed.
rewrite /affine_image /phi /d -same; case: (first i).
  by exists 1%:M, 0 => x; rewrite mulmx1 addr0.
by exists 1%:M, 0 => x; rewrite mulmx1 addr0.
Qed.

End TwoBlocks.

Definition heterogeneous_results :=
  (heterogeneous_best_response_iff, heterogeneous_unique,
   heterogeneous_parameters_unique, two_blocks_unique).
Print Assumptions restricted_kernel.
Print Assumptions heterogeneous_results.
